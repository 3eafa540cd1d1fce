"""Teach a base generator the rare findings: learned prompt tokens P beside the text, and LoRA on the U-Net's attention.

Everything else stays frozen. Latents and text embeddings are computed once, so that a step costs the U-Net alone.
Prompt tokens: TRCGL-Net, figure 1b (arXiv 2607.00975). LoRA: Hu et al., arXiv 2106.09685. Empty text for
classifier-free guidance: Ho and Salimans, arXiv 2207.12598.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.training_utils import cast_training_params
from diffusers.utils.state_dict_utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import Tensor

from trcgl.config import DiffusionParams
from trcgl.diffusion.base import SCRATCH, load_pipeline, no_library_bars, noise_schedule
from trcgl.diffusion.denoising import denoising_loss
from trcgl.diffusion.latents import LatentCache
from trcgl.diffusion.loop import Journal, Schedule, generator, train
from trcgl.diffusion.pretrain import pretrain
from trcgl.diffusion.prompts import PromptTokens, check_template, prompt_text, text_embeddings
from trcgl.diffusion.rows import TrainingRows, mixed_batch
from trcgl.diffusion.saved import GeneratorCard
from trcgl.diffusion.stock import StableDiffusionPipeline
from trcgl.images.shards import ShardedImages
from trcgl.runtime.device import pick_dtype
from trcgl.runtime.logging import get_logger
from trcgl.runtime.seeding import rng, seed_of

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
log = get_logger("diffusion")


def finetune(
    params: DiffusionParams,
    rows: TrainingRows,
    images: ShardedImages,
    phrases: Mapping[str, str],
    folder: Path,
    *,
    journal: Journal,
    device: torch.device,
    precision: str,
) -> None:
    """Train (a scratch base and) the adapter, and write the generator.

    Args:
        phrases: English phrase of every finding.
        folder: an empty folder; `saved.load_generator` and, for a scratch base, plain diffusers read it.
        precision: as compute.precision, on an accelerator. P and LoRA are always float32, and on the CPU everything
            is: bfloat16 was no faster there for convolutions of so few channels (measured: 50 against 52 images/s).
    """
    dtype = torch.float32 if device.type == "cpu" else pick_dtype(device, precision)
    check_template(params.prompt_template)
    prompts = [
        prompt_text(params.prompt_template, view, findings, phrases)
        for view, findings in zip(rows.projections, rows.findings, strict=True)
    ]
    if params.base == SCRATCH:
        words = [prompt_text(params.prompt_template, "", [], {}), *phrases.values()]
        pipeline, cache = pretrain(
            params, images=images, names=rows.images, prompts=prompts, phrases=words, journal=journal,
            device=device, dtype=dtype,
        )  # fmt: skip
        with no_library_bars():
            pipeline.save_pretrained(folder)
    else:
        pipeline = load_pipeline(params.base, params.base_revision, size=images.size, dtype=dtype).to(device)
        cache = LatentCache(pipeline.vae, images)
    tokens = adapt(pipeline, cache, params, rows, prompts, journal, dtype)
    GeneratorCard(
        base=params.base,
        base_revision=params.base_revision,
        prompt_template=params.prompt_template,
        prompt_tokens=params.prompt_tokens,
        lora_rank=params.lora_rank,
        size=images.size,
        phrases=dict(phrases),
    ).write(folder)
    tokens.save(folder / "prompt_tokens.safetensors")
    adapter = convert_state_dict_to_diffusers(get_peft_model_state_dict(pipeline.unet))
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=adapter)


def adapt(
    pipeline: Any,
    cache: LatentCache,
    params: DiffusionParams,
    rows: TrainingRows,
    prompts: Sequence[str],
    journal: Journal,
    dtype: torch.dtype = torch.float32,
) -> PromptTokens:
    """Add LoRA to the pipeline's U-Net and train it with new prompt tokens; nothing else changes.

    Returns:
        The learned prompt tokens, on the pipeline's device.
    """
    unet = pipeline.unet
    for part in (pipeline.vae, pipeline.text_encoder, unet):
        part.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(params.seed, "lora"))
        unet.add_adapter(
            LoraConfig(
                r=params.lora_rank, lora_alpha=params.lora_rank, init_lora_weights="gaussian", target_modules=ATTENTION
            )
        )
    # Half precision adapters lose small updates
    cast_training_params(unet, torch.float32)

    drawn = [
        mixed_batch(rows, params.batch_size, params.tail_fraction, params.seed, "prompt", step)
        for step in range(params.steps)
    ]
    used = np.unique(np.concatenate(drawn)) if drawn else np.empty(0, dtype=np.int64)
    cache.add([rows.images[int(i)] for i in used])
    texts = list(dict.fromkeys(prompts[int(i)] for i in used))
    embeddings = text_embeddings(pipeline.tokenizer, pipeline.text_encoder, [*texts, ""])
    place = {text: i for i, text in enumerate(texts)}
    tokens = PromptTokens.beside(embeddings[-1], params.prompt_tokens, generator(params.seed, "tokens")).to(unet.device)
    schedule = noise_schedule(pipeline)
    lora = [parameter for parameter in unet.parameters() if parameter.requires_grad]

    def batch(step: int) -> tuple[Tensor, Tensor]:
        texts_of = np.array([place[prompts[int(i)]] for i in drawn[step]])
        texts_of[rng(params.seed, "dropout", step).random(len(texts_of)) < params.prompt_dropout] = len(texts)
        latents = cache.read([rows.images[int(i)] for i in drawn[step]])
        return latents.to(unet.device), embeddings[texts_of]

    def loss(batch: tuple[Tensor, Tensor], noise: torch.Generator) -> Tensor:
        latents, embedded = batch
        return denoising_loss(unet, schedule, latents, tokens.append(embedded), noise)

    groups: list[dict[str, Any]] = [{"params": lora, "lr": params.lr, "weight_decay": params.weight_decay}]
    if params.prompt_tokens:
        # Decay would pull the tokens towards the origin, where no text embedding lies
        groups.append({"params": [tokens.tokens], "lr": params.prompt_lr, "weight_decay": 0.0})
    if not rows.carriers:
        log.info("no training image carries a tail finding: batches are drawn from all images")
    train(
        "prompt",
        [unet, tokens],
        groups,
        batch,
        loss,
        seed=params.seed,
        schedule=Schedule(params.steps, params.warmup_steps),
        clip_norm=params.clip_norm,
        journal=journal,
        batch_size=params.batch_size,
        epoch_images=len(rows),
        dtype=dtype,
    )
    return tokens
