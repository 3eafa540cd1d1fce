"""Train learned prompt tokens P and LoRA on a base generator; everything else stays frozen.

Latents and text embeddings are computed once, so that a step runs the U-Net only (and the text encoder if it has LoRA).
A fraction `tail_fraction` of each batch carries a tail finding. The rest are images of any kind, so that the generator
does not forget the normal anatomy (prior preservation, Ruiz et al., arXiv 2208.12242, with real images). Prompt tokens:
TRCGL-Net, figure 1b (arXiv 2607.00975). Empty text for classifier-free guidance: Ho and Salimans, arXiv 2207.12598.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trcgl.config import DiffusionParams
from trcgl.diffusion.finetuning.batches import Batches
from trcgl.diffusion.finetuning.denoising import denoising_loss
from trcgl.diffusion.finetuning.journal import Journal
from trcgl.diffusion.finetuning.loop import train
from trcgl.diffusion.finetuning.phase import Phase
from trcgl.diffusion.finetuning.schedule import Schedule
from trcgl.diffusion.finetuning.seeded import seeded_generator
from trcgl.diffusion.generator.base import noise_schedule
from trcgl.diffusion.generator.latents import LatentCache
from trcgl.diffusion.generator.lora import add_lora
from trcgl.diffusion.generator.lora_layers import TEXT_LAYERS, UNET_LAYERS
from trcgl.diffusion.generator.prompts import PromptTokens, text_embeddings, token_ids
from trcgl.diffusion.generator.rows import TrainingRows
from trcgl.numerics.processes import ALONE, Processes
from trcgl.runtime.logging import get_logger
from trcgl.runtime.memory import naming_the_knob

log = get_logger("diffusion")

WEIGHT_DECAY = 0.01
"""Weight decay of the LoRA weights; the default of AdamW."""
CLIP_NORM = 1.0
"""Largest norm of all gradients together, so that one batch with a large gradient does not undo many steps."""

Embedder = Callable[[Sequence[str]], Tensor]
"""Texts -> embeddings [n, tokens, width]."""


def adapt(
    pipeline: Any,
    cache: LatentCache,
    params: DiffusionParams,
    rows: TrainingRows,
    prompts: Sequence[str],
    findings: Sequence[str],
    journal: Journal,
    dtype: torch.dtype = torch.float32,
    processes: Processes = ALONE,
) -> PromptTokens:
    """Add LoRA to the pipeline, and train it together with new prompt tokens; nothing else changes.

    Args:
        prompts: the prompt of every row.
        findings: the findings that may have prompt tokens of their own.

    Returns:
        The learned prompt tokens, on the pipeline's device.
    """
    if not rows.carriers:
        log.warning(
            "no training image has a tail finding: the generator learns from all images, and will draw none ('labels' "
            "says which findings are tail; 'diffusion.base' null leaves it out)"
        )
    unet, text_encoder = pipeline.unet, pipeline.text_encoder
    adapters = _add_adapters(pipeline, params)
    batches = Batches(params, rows, prompts, cache.images.size)
    cache.add([one for step in batches.shown for one in step])
    empty = text_embeddings(pipeline.tokenizer, text_encoder, [""])[0]
    start = seeded_generator(params.seed, "tokens")
    tokens = PromptTokens.beside(empty, params.prompt_tokens, params.prompt_sharing, findings, start).to(unet.device)
    embed = _trained(pipeline) if params.text_lora_rank else _looked_up(pipeline, batches.texts())
    noise_levels = noise_schedule(pipeline)

    def batch_of(step: int) -> tuple[Tensor, list[str], list[tuple[str, ...]]]:
        return cache.read(batches.shown[step]).to(unet.device), *batches.prompts(step)

    def loss_of(batch: tuple[Tensor, list[str], list[tuple[str, ...]]], noise: torch.Generator) -> Tensor:
        latents, texts, present = batch
        embedded = tokens.append(embed(texts), present)
        gamma = params.min_snr_gamma
        return denoising_loss(unet, noise_levels, latents, embedded, noise, min_snr_gamma=gamma, processes=processes)

    phase = Phase(
        name="prompt",
        modules=[unet, text_encoder, tokens],
        groups=_groups(params, adapters, tokens),
        batch_of=batch_of,
        loss_of=loss_of,
        images_of=batches.images,
        batch_size=params.batch_size,
        epoch_images=len(rows),
        seed=params.seed,
        schedule=Schedule(params.steps, params.warmup_steps),
        clip_norm=CLIP_NORM,
        dtype=dtype,
        ema_decay=params.ema_decay,
        lr_keys=("diffusion.lr", "diffusion.prompt_lr") if params.prompt_tokens else ("diffusion.lr",),
        batch_key="diffusion.batch_size",
    )
    with naming_the_knob("'diffusion.batch_size'"):
        train(phase, journal, processes)
    return tokens


def _add_adapters(pipeline: Any, params: DiffusionParams) -> list[nn.Parameter]:
    """Add LoRA to the U-Net and, if `text_lora_rank` is above 0, to the text encoder; everything else is frozen."""
    pipeline.vae.requires_grad_(False)
    pipeline.text_encoder.requires_grad_(False)
    if params.gradient_checkpointing:
        pipeline.unet.enable_gradient_checkpointing()
    targets = [layer for kind in params.lora_layers for layer in UNET_LAYERS[kind]]
    adapters = add_lora(pipeline.unet, params.lora_rank, targets, params.seed, "lora")
    if params.text_lora_rank:
        adapters += add_lora(pipeline.text_encoder, params.text_lora_rank, TEXT_LAYERS, params.seed, "text lora")
    return adapters


def _groups(params: DiffusionParams, adapters: list[nn.Parameter], tokens: PromptTokens) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = [{"params": adapters, "lr": params.lr, "weight_decay": WEIGHT_DECAY}]
    if params.prompt_tokens:
        # Decay would pull the tokens towards the origin, where no text embedding lies
        groups.append({"params": list(tokens.parameters()), "lr": params.prompt_lr, "weight_decay": 0.0})
    return groups


def _trained(pipeline: Any) -> Embedder:
    """Embeddings for a text encoder that is trained: they are computed anew at each step."""
    encoder, tokenizer = pipeline.text_encoder, pipeline.tokenizer
    return lambda texts: encoder(token_ids(tokenizer, texts).to(encoder.device))[0].float()


def _looked_up(pipeline: Any, texts: Sequence[str]) -> Embedder:
    """Embeddings for a frozen text encoder: those of all texts and of the empty text are computed once, in advance."""
    known = [*dict.fromkeys(texts), ""]
    encoder = pipeline.text_encoder
    # In the encoder's own precision, on the CPU: at PadChest's size nearly every film with a finding has its own prompt
    embeddings = text_embeddings(pipeline.tokenizer, encoder, known, kept_on="cpu", dtype=encoder.dtype)
    place = {text: i for i, text in enumerate(known)}
    return lambda asked: embeddings[[place[text] for text in asked]].to(encoder.device, torch.float32)
