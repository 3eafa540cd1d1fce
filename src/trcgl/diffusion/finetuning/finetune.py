"""Teach a base generator the rare findings: learned prompt tokens P beside the text, and LoRA on the U-Net.

Everything else stays frozen. Latents and text embeddings are computed once, so that a step costs the U-Net alone; half
of a batch are images without a tail finding, so that the anatomy is not forgotten (prior preservation, Ruiz et al.,
arXiv 2208.12242, with real images). Prompt tokens: TRCGL-Net, figure 1b (arXiv 2607.00975). Empty text for
classifier-free guidance: Ho and Salimans, arXiv 2207.12598.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trcgl.artifacts.shards import ShardedImages
from trcgl.config import DiffusionParams
from trcgl.diffusion.finetuning.denoising import denoising_loss
from trcgl.diffusion.finetuning.heldout import held_out_loss
from trcgl.diffusion.finetuning.loop import Journal, Schedule, generator, train
from trcgl.diffusion.generator.base import is_small_folder, load_pipeline, noise_schedule
from trcgl.diffusion.generator.latents import LatentCache, Shown
from trcgl.diffusion.generator.lora import TEXT_LAYERS, UNET_LAYERS, add_lora, check_layers, save_lora
from trcgl.diffusion.generator.prompts import (
    PromptTokens,
    check_template,
    prompts_of,
    report_cut_prompts,
    text_embeddings,
    token_ids,
)
from trcgl.diffusion.generator.rows import TrainingRows, mixed_batch
from trcgl.diffusion.generator.saved import GeneratorCard
from trcgl.numerics.device import pick_dtype
from trcgl.numerics.processes import ALONE, Processes
from trcgl.numerics.seeding import rng
from trcgl.runtime.logging import get_logger
from trcgl.runtime.memory import naming_the_knob

log = get_logger("diffusion")


@dataclass(frozen=True)
class HeldOut:
    """Denoising loss on validation images that carry a tail finding; NaN when there are none.

    Attributes:
        base: of the base, prompted with the text alone.
        finetuned: of the adapted generator, with its prompt tokens.
        images: how many.
    """

    base: float = float("nan")
    finetuned: float = float("nan")
    images: int = 0


def finetune(
    params: DiffusionParams,
    rows: TrainingRows,
    held_out: TrainingRows,
    images: ShardedImages,
    phrases: Mapping[str, str],
    folder: Path,
    *,
    journal: Journal,
    device: torch.device,
    precision: str,
    processes: Processes = ALONE,
) -> HeldOut:
    """Train the adapter, and write the generator.

    Args:
        params: with a base; without one, see `write_no_generator`.
        held_out: validation rows; nothing is learned from them.
        phrases: English phrase of every finding.
        folder: an empty folder, of each process another; `saved.load_generator` and, for a base that lies in it, plain
            diffusers read it.
        precision: as compute.precision, on an accelerator. P and LoRA are always float32, and on the CPU everything
            is: bfloat16 was no faster there for convolutions of so few channels (measured: 50 against 52 images/s).
        processes: who else trains this generator; all end with the same one.
    """
    if params.base is None:
        raise ValueError("there is no base to teach")
    dtype = torch.float32 if device.type == "cpu" else pick_dtype(device, precision)
    check_template(params.prompt_template)
    check_layers(params.lora_layers)
    prompts = prompts_of(rows, params.prompt_template, phrases)
    pipeline = load_pipeline(params.base, params.base_revision, size=images.size, dtype=dtype).to(device)
    cache = LatentCache(pipeline.vae, images)
    inside = is_small_folder(params.base)
    if inside:
        shutil.copytree(Path(params.base).expanduser(), folder, dirs_exist_ok=True)
    report_cut_prompts(pipeline.tokenizer, prompts)
    carriers = sorted({int(row) for places in held_out.carriers.values() for row in places})
    asked = _Questions(held_out, carriers, prompts_of(held_out, params.prompt_template, phrases), cache)
    before = asked.loss(pipeline, None)
    with naming_the_knob("'diffusion.batch_size'"):
        tokens = adapt(pipeline, cache, params, rows, prompts, sorted(phrases), journal, dtype, processes)
    after = asked.loss(pipeline, tokens)
    log.info("denoising loss on %d validation images of tail findings: base %.4f, now %.4f", asked.count, before, after)
    GeneratorCard(
        base=params.base,
        base_revision=params.base_revision,
        base_inside=inside,
        prompt_template=params.prompt_template,
        prompt_tokens=params.prompt_tokens,
        lora_rank=params.lora_rank,
        text_lora_rank=params.text_lora_rank,
        size=images.size,
        phrases=dict(phrases),
    ).write(folder)
    tokens.save(folder / "prompt_tokens.safetensors")
    save_lora(folder, pipeline.unet, pipeline.text_encoder if params.text_lora_rank else None)
    return HeldOut(before, after, asked.count)


class _Questions:
    """The same timesteps and noise on the same held-out images, for the base and for what became of it."""

    def __init__(self, rows: TrainingRows, places: Sequence[int], prompts: Sequence[str], cache: LatentCache):
        self.count = len(places)
        self._shown = [Shown(rows.images[place]) for place in places]
        self._findings = [rows.findings[place] for place in places]
        self._prompts = [prompts[place] for place in places]
        self._cache = cache

    def loss(self, pipeline: Any, tokens: PromptTokens | None) -> float:
        if not self.count:
            return float("nan")
        self._cache.add(self._shown)
        embedded = text_embeddings(pipeline.tokenizer, pipeline.text_encoder, self._prompts)
        if tokens is not None:
            with torch.no_grad():
                embedded = tokens.append(embedded, self._findings)
        return held_out_loss(pipeline, self._cache.read(self._shown), embedded, "held out")


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
    """Add LoRA to the pipeline and train it with new prompt tokens; nothing else changes.

    Args:
        findings: that may have prompt tokens of their own.

    Returns:
        The learned prompt tokens, on the pipeline's device.
    """
    unet, text_encoder = pipeline.unet, pipeline.text_encoder
    pipeline.vae.requires_grad_(False)
    text_encoder.requires_grad_(False)
    targets = [layer for kind in params.lora_layers for layer in UNET_LAYERS[kind]]
    adapters = add_lora(unet, params.lora_rank, targets, params.seed, "lora")
    if params.text_lora_rank:
        adapters += add_lora(text_encoder, params.text_lora_rank, TEXT_LAYERS, params.seed, "text lora")

    drawn = [
        mixed_batch(rows, params.batch_size, params.tail_fraction, params.seed, "prompt", step)
        for step in range(params.steps)
    ]
    shown = [_shown(params, rows, places, cache.images.size, step) for step, places in enumerate(drawn)]
    cache.add([one for step in shown for one in step])
    empty = text_embeddings(pipeline.tokenizer, text_encoder, [""])[0]
    tokens = PromptTokens.beside(
        empty, params.prompt_tokens, params.prompt_sharing, findings, generator(params.seed, "tokens")
    ).to(unet.device)
    embed = _embedder(pipeline, [prompts[int(i)] for step in drawn for i in step], trained=bool(params.text_lora_rank))
    schedule = noise_schedule(pipeline)

    def batch(step: int) -> tuple[Tensor, list[str], list[tuple[str, ...]]]:
        dropped = rng(params.seed, "dropout", step).random(params.batch_size) < params.prompt_dropout
        texts = ["" if drop else prompts[int(i)] for i, drop in zip(drawn[step], dropped, strict=True)]
        present = [() if drop else rows.findings[int(i)] for i, drop in zip(drawn[step], dropped, strict=True)]
        return cache.read(shown[step]).to(unet.device), texts, present

    def loss(batch: tuple[Tensor, list[str], list[tuple[str, ...]]], noise: torch.Generator) -> Tensor:
        latents, texts, present = batch
        embedded = tokens.append(embed(texts), present)
        return denoising_loss(
            unet, schedule, latents, embedded, noise, min_snr_gamma=params.min_snr_gamma, processes=processes
        )

    groups: list[dict[str, Any]] = [{"params": adapters, "lr": params.lr, "weight_decay": params.weight_decay}]
    if params.prompt_tokens:
        # Decay would pull the tokens towards the origin, where no text embedding lies
        groups.append({"params": list(tokens.parameters()), "lr": params.prompt_lr, "weight_decay": 0.0})
    if not rows.carriers:
        log.info("no training image carries a tail finding: batches are drawn from all images")
    train(
        "prompt",
        [unet, text_encoder, tokens],
        groups,
        batch,
        loss,
        seed=params.seed,
        schedule=Schedule(params.steps, params.warmup_steps),
        clip_norm=params.clip_norm,
        journal=journal,
        images_of=lambda step: [one.image for one in shown[step]],
        batch_size=params.batch_size,
        epoch_images=len(rows),
        dtype=dtype,
        ema_decay=params.ema_decay,
        processes=processes,
    )
    return tokens


def _shown(params: DiffusionParams, rows: TrainingRows, places: np.ndarray, size: int, step: int) -> list[Shown]:
    """What a step shows: tail images in one of their shifted copies, others as they are (there are enough of them)."""
    carriers = {int(row) for rows_of in rows.carriers.values() for row in rows_of}
    reach = round(params.shift * size)
    chosen = rng(params.seed, "copy", step).integers(params.shifted_copies, size=len(places))
    shown = []
    for place, copy in zip(places, chosen, strict=True):
        image, right, down = rows.images[int(place)], 0, 0
        if copy and int(place) in carriers:
            right, down = rng("shift", image, int(copy)).integers(-reach, reach + 1, size=2)
        shown.append(Shown(image, int(right), int(down)))
    return shown


def _embedder(pipeline: Any, texts: Sequence[str], *, trained: bool) -> Callable[[Sequence[str]], Tensor]:
    """Texts -> embeddings [n, tokens, width]: looked up while the text encoder is frozen, computed while it learns."""
    encoder, tokenizer = pipeline.text_encoder, pipeline.tokenizer
    if trained:

        def compute(asked: Sequence[str]) -> Tensor:
            return encoder(token_ids(tokenizer, asked).to(encoder.device))[0].float()

        return compute
    known = [*dict.fromkeys(texts), ""]
    embeddings = text_embeddings(tokenizer, encoder, known)
    place = {text: i for i, text in enumerate(known)}
    return lambda asked: embeddings[[place[text] for text in asked]]
