"""The denoising loss of latent diffusion, for a U-Net that predicts noise or velocity."""

from typing import Any

import torch
from torch import Tensor, nn


def spread_timesteps(count: int, total: int, generator: torch.Generator) -> Tensor:
    """One timestep from each of `count` equal slices of 0..total-1, in random order: int64 [count].

    A batch then covers the whole schedule, which lowers the loss's variance (Kingma et al., arXiv 2107.00630, I.1).
    """
    places = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    return (places * total).long().clamp(max=total - 1)


def denoising_loss(
    unet: nn.Module, schedule: Any, latents: Tensor, embeddings: Tensor, generator: torch.Generator
) -> Tensor:
    """Mean squared error of the prediction at one random timestep an image.

    Args:
        latents: scaled, float32 [B, C, h, w].
        embeddings: [B, tokens, width].
        generator: on the CPU; draws timesteps and noise.
    """
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    steps = spread_timesteps(len(latents), schedule.config.num_train_timesteps, generator).to(latents.device)
    noisy = schedule.add_noise(latents, noise, steps)
    velocity = schedule.config.prediction_type == "v_prediction"
    target = schedule.get_velocity(latents, noise, steps) if velocity else noise
    dtype = next(unet.parameters()).dtype
    predicted = unet(noisy.to(dtype), steps, embeddings.to(dtype), return_dict=False)[0]
    return (predicted.float() - target).square().mean()
