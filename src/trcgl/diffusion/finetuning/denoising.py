"""The denoising loss of latent diffusion, for a U-Net that predicts noise or velocity."""

from typing import Any

import torch
from diffusers.training_utils import compute_snr
from torch import Tensor, nn

from trcgl.numerics.processes import ALONE, Processes


def spread_timesteps(count: int, total: int, generator: torch.Generator) -> Tensor:
    """One timestep from each of `count` equal slices of 0..total-1, in random order: int64 [count].

    A batch then covers the whole schedule, which lowers the loss's variance (Kingma et al., arXiv 2107.00630, I.1).
    """
    places = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    return (places * total).long().clamp(max=total - 1)


def snr_weights(schedule: Any, steps: Tensor, gamma: float) -> Tensor:
    """Min-SNR weights (Hang et al., arXiv 2303.09556): easy timesteps with little noise then do not dominate the loss.

    Args:
        steps: int64 [B].
        gamma: upper limit of the signal-to-noise ratio in the weight; 0: every timestep has weight 1.

    Returns:
        float32 [B]: min(SNR, gamma) / SNR for noise prediction, min(SNR, gamma) / (SNR + 1) for velocity (equation 8
        of the paper and its form for velocity).
    """
    if gamma == 0:
        return torch.ones(len(steps), device=steps.device)
    snr = compute_snr(schedule, steps)
    velocity = schedule.config.prediction_type == "v_prediction"
    return snr.clamp(max=gamma) / (snr + 1 if velocity else snr)


def denoising_loss(
    unet: nn.Module,
    schedule: Any,
    latents: Tensor,
    embeddings: Tensor,
    generator: torch.Generator,
    *,
    min_snr_gamma: float = 0.0,
    processes: Processes = ALONE,
) -> Tensor:
    """Weighted mean squared error of the prediction at one random timestep per image, over this process's images.

    Args:
        latents: scaled, float32 [B, C, h, w], of the whole batch.
        embeddings: [B, tokens, width], of the whole batch.
        generator: on the CPU; it samples timesteps and noise of the whole batch, so every process has the same ones.
        min_snr_gamma: see `snr_weights`.
    """
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    steps = spread_timesteps(len(latents), schedule.config.num_train_timesteps, generator).to(latents.device)
    mine = processes.share(len(latents))
    latents, embeddings, noise, steps = latents[mine], embeddings[mine], noise[mine], steps[mine]
    noisy = schedule.add_noise(latents, noise, steps)
    velocity = schedule.config.prediction_type == "v_prediction"
    target = schedule.get_velocity(latents, noise, steps) if velocity else noise
    dtype = next(unet.parameters()).dtype
    predicted = unet(noisy.to(dtype), steps, embeddings.to(dtype), return_dict=False)[0]
    errors = (predicted.float() - target).square().mean(dim=(1, 2, 3))
    return (errors * snr_weights(schedule, steps, min_snr_gamma)).mean()
