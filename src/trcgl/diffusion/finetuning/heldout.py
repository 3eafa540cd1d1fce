"""How well a generator predicts the noise in images that it was not trained on. Timesteps and noise are fixed, so that
generators are compared on the same inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trcgl.diffusion.finetuning.denoising import denoising_loss
from trcgl.diffusion.finetuning.seeded import seeded_generator
from trcgl.diffusion.generator.base import noise_schedule
from trcgl.diffusion.generator.latents import LatentCache, Shown
from trcgl.diffusion.generator.prompts import PromptTokens, text_embeddings
from trcgl.diffusion.generator.rows import TrainingRows
from trcgl.numerics.seeding import Part

BATCH = 16
REPEATS = 4


@dataclass(frozen=True)
class HeldOut:
    """Denoising loss on validation images that carry a tail finding; NaN when there are none.

    Attributes:
        base: loss of the base, with text prompts only.
        finetuned: loss of the fine-tuned generator, with its prompt tokens.
        images: number of images.
    """

    base: float = float("nan")
    finetuned: float = float("nan")
    images: int = 0


class TailQuestions:
    """Held-out tail images with fixed timesteps and noise, the same for the base and the fine-tuned generator.

    Args:
        rows: held-out images; those that carry a tail finding are used.
        prompts: the prompt of every row.
    """

    def __init__(self, rows: TrainingRows, prompts: Sequence[str], cache: LatentCache):
        places = sorted({int(row) for carriers in rows.carriers.values() for row in carriers})
        self.count = len(places)
        self._shown = [Shown(rows.images[place]) for place in places]
        self._findings = [rows.findings[place] for place in places]
        self._prompts = [prompts[place] for place in places]
        self._cache = cache

    def loss(self, pipeline: Any, tokens: PromptTokens | None) -> float:
        """Denoising loss of a generator; `tokens` None: with the text alone. NaN without images."""
        if not self.count:
            return float("nan")
        self._cache.add(self._shown)
        embedded = text_embeddings(pipeline.tokenizer, pipeline.text_encoder, self._prompts)
        if tokens is not None:
            with torch.no_grad():
                embedded = tokens.append(embedded, self._findings)
        return held_out_loss(pipeline, self._cache.read(self._shown), embedded, "held out")


@torch.no_grad()
def held_out_loss(pipeline: Any, latents: Tensor, embeddings: Tensor, *seed: Part) -> float:
    """Mean denoising loss over images; timesteps and noise are sampled REPEATS times per image.

    Args:
        latents: float32 [N, C, h, w].
        embeddings: [N, tokens, width].
        seed: of timesteps and noise; equal seeds give equal timesteps and noise.

    Returns:
        The loss; NaN without images.
    """
    unet, schedule = pipeline.unet, noise_schedule(pipeline)
    losses, sizes = [], []
    for start in range(0, len(latents), BATCH):
        part = latents[start : start + BATCH].to(unet.device), embeddings[start : start + BATCH].to(unet.device)
        for repeat in range(REPEATS):
            noise = seeded_generator(*seed, start, repeat)
            losses.append(float(denoising_loss(unet, schedule, *part, noise)))
            sizes.append(len(part[0]))
    return float(np.average(losses, weights=sizes)) if losses else float("nan")
