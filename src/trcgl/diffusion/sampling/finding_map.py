"""Locate a finding in a real image: where does the generator see it?

The U-Net gets the same noised image twice: once with a prompt that names all findings of the image, and once with a
prompt that leaves this finding out. The finding is where the two predictions differ (the comparison of DiffEdit,
Couairon et al., arXiv 2210.11427). This needs no lesion annotations, because the generator has learned from image
labels alone.

A cell of the latents is several pixels wide. Therefore the image is shifted by fractions of a cell, the map of each
shifted image is shifted back, and all maps are averaged. The average has a finer resolution than one cell.
"""

from itertools import product
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trcgl.diffusion.generator.latents import encode, shifted
from trcgl.numerics.device import fp32_or, name_of
from trcgl.numerics.seeding import seed_of
from trcgl.runtime.errors import InputError

NOISED = (0.1, 0.2, 0.3, 0.4)
"""Fractions of the noise schedule at which predictions are compared. More noise hides the edges; less noise makes the
comparison uninformative."""
MOVES = 4
"""Number of shifts along each side of a latent cell."""
TRAIN_LOWER = "lower 'diffusion.lr' and train again"
"""The remedy in messages, when a trained generator computes numbers that are not finite."""


@torch.no_grad()
def finding_map(
    pipeline: Any, pixels: np.ndarray, with_it: Tensor, without: Tensor, *, batch: int, image: str
) -> np.ndarray:
    """How much the predictions differ at each pixel.

    Args:
        pipeline: a StableDiffusionPipeline.
        pixels: uint8 [S, S], a real image.
        with_it, without: embeddings of the two prompts, [1, tokens, width] in the U-Net's dtype.
        batch: number of shifted images that are processed at once.
        image: the image's name, for messages.

    Returns:
        float32 [S, S], at least 0.

    Raises:
        InputError: a prediction is not finite.
    """
    scheduler, unet, size = pipeline.scheduler, pipeline.unet, len(pixels)
    steps = sorted({round((part / MOVES - 0.5) * pipeline.vae_scale_factor) for part in range(MOVES)})
    moves = list(product(steps, steps))
    total = np.zeros((size, size))
    for start in range(0, len(moves), batch):
        chunk = moves[start : start + batch]
        latents = encode(pipeline.vae, np.stack([shifted(pixels, *move) for move in chunk]), [image] * len(chunk))
        latents = latents.to(unet.device)
        prompts = torch.cat([embedded.expand(len(chunk), -1, -1) for embedded in (without, with_it)])
        difference = torch.zeros(len(chunk), 1, *latents.shape[2:], device=unet.device)
        for share in NOISED:
            time = torch.tensor([round(share * (scheduler.config.num_train_timesteps - 1))], device=unet.device)
            kept = scheduler.alphas_cumprod.to(unet.device)[time].sqrt()
            noised = kept * latents + (1 - kept**2).sqrt() * _noise(latents, int(time), start)
            seen = torch.cat([noised, noised]).to(unet.dtype)
            left, right = unet(seen, time, encoder_hidden_states=prompts, return_dict=False)[0].float().chunk(2)
            difference += (right - left).abs().mean(dim=1, keepdim=True)
        wide = F.interpolate(difference, size=(size, size), mode="nearest")[:, 0].cpu().numpy()
        total += sum(shifted(one, -right, -down) for one, (right, down) in zip(wide, chunk, strict=True))
    if not np.isfinite(total).all():
        raise InputError(
            f"the generator's prediction for image '{image}' is not finite in {name_of(unet.dtype)}; "
            f"{fp32_or(unet.dtype, TRAIN_LOWER)}"
        )
    return (total / len(moves)).astype(np.float32)


def _noise(latents: Tensor, time: int, first: int) -> Tensor:
    """Standard normal noise, shaped like `latents`. Each shift has its own, so that its effect averages out."""
    seeds = [seed_of("finding map", time, first + number) for number in range(len(latents))]
    drawn = [torch.randn(latents.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(drawn).to(latents)
