"""The generator itself: base pipeline, latents, prompts with learned tokens, LoRA, and its saved form."""
