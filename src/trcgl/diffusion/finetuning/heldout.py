"""How well a generator predicts the noise in images it was not trained on: fixed timesteps and noise, so that two
generators are compared on the same questions."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from trcgl.diffusion.finetuning.denoising import denoising_loss
from trcgl.diffusion.finetuning.loop import generator
from trcgl.diffusion.generator.base import noise_schedule
from trcgl.numerics.seeding import Part

BATCH = 16


@torch.no_grad()
def held_out_loss(
    pipeline: Any, latents: Tensor, embeddings: Tensor, *seed: Part, repeats: int = 4, min_snr_gamma: float = 0.0
) -> float:
    """Mean denoising loss over images, with `repeats` draws of timesteps and noise an image.

    Args:
        latents: float32 [N, C, h, w].
        embeddings: [N, tokens, width].
        seed: of timesteps and noise; equal seeds ask equal questions.

    Returns:
        The loss; NaN without images.
    """
    unet, schedule = pipeline.unet, noise_schedule(pipeline)
    losses, sizes = [], []
    for start in range(0, len(latents), BATCH):
        part = latents[start : start + BATCH].to(unet.device), embeddings[start : start + BATCH].to(unet.device)
        for repeat in range(repeats):
            noise = generator(*seed, start, repeat)
            losses.append(float(denoising_loss(unet, schedule, *part, noise, min_snr_gamma=min_snr_gamma)))
            sizes.append(len(part[0]))
    return float(np.average(losses, weights=sizes)) if losses else float("nan")
