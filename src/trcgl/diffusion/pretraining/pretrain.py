"""Train a small base generator (autoencoder, text encoder and U-Net), from scratch or from another base.

Latent diffusion (Rombach et al., arXiv 2112.10752) at a size that a CPU can train. The result is a stock Stable
Diffusion pipeline: a grey image has three equal channels, and prompts are text.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trcgl.artifacts.shards import ShardedImages
from trcgl.config import DiffusionParams
from trcgl.diffusion.finetuning.denoising import denoising_loss
from trcgl.diffusion.finetuning.journal import Journal
from trcgl.diffusion.finetuning.loop import train
from trcgl.diffusion.finetuning.phase import Phase
from trcgl.diffusion.finetuning.schedule import Schedule
from trcgl.diffusion.generator.base import as_input, load_pipeline, noise_schedule
from trcgl.diffusion.generator.base_files import check_untaught
from trcgl.diffusion.generator.latents import LatentCache, Shown
from trcgl.diffusion.generator.prompts import token_ids
from trcgl.diffusion.pretraining.networks import assemble, build_autoencoder, check_sizes, seeded
from trcgl.diffusion.pretraining.settings import PretrainParams
from trcgl.diffusion.pretraining.words import word_tokenizer
from trcgl.numerics.processes import ALONE, Processes
from trcgl.numerics.seeding import rng
from trcgl.runtime.memory import naming_the_knob

KL_WEIGHT = 1e-6
"""Weight of the KL divergence (summed over a latent) relative to the error summed over the pixels, as in latent
diffusion. Relative to the mean error, the divergence would be ten thousand times as strong, and weak channels would
fade to noise."""
CLIP_NORM = 1.0
WARMUP = 0.05
"""Fraction of a phase's steps."""


def pretrain(
    params: DiffusionParams,
    sizes: PretrainParams,
    *,
    images: ShardedImages,
    names: Sequence[str],
    prompts: Sequence[str],
    shares: np.ndarray,
    phrases: Sequence[str],
    journal: Journal,
    device: torch.device,
    dtype: torch.dtype,
    processes: Processes = ALONE,
) -> Any:
    """Train the three networks. With `sizes.start`, only that base's text encoder and U-Net are trained further.

    Args:
        params: seed, prompts and the loss.
        sizes: settings of the networks and of their training.
        names: training images.
        prompts: their prompts.
        shares: float [len(names)], the probability of each image in the U-Net's batches; they sum to 1.
        phrases: further texts whose words the tokenizer must know, because fine-tuning may name findings not seen here.
        dtype: the training steps compute in this dtype; the networks are float32.
        processes: the processes that train the networks together.

    Returns:
        The pipeline.

    Raises:
        InputError: image size and levels do not fit, a loss is not finite, or memory runs out.
    """
    seed = params.seed
    shown = [Shown(name) for name in names]
    if sizes.start is not None:
        pipeline = load_pipeline(sizes.start, None, size=images.size, dtype=torch.float32, key="'start'").to(device)
        check_untaught(Path(pipeline.name_or_path), "'start'")
        cache = LatentCache(pipeline.vae, images)
        cache.add(shown)
    else:
        check_sizes(sizes, images.size)
        channels, latent = sizes.autoencoder_channels, sizes.latent_channels
        vae = seeded(lambda: build_autoencoder(images.size, channels, latent), seed, "autoencoder")
        vae = vae.to(device, memory_format=torch.channels_last)
        _train_autoencoder(vae, sizes, seed, images, names, journal, dtype, processes)
        cache = LatentCache(vae, images)
        cache.add(shown)
        mean, std = cache.statistics()
        standardise_latents(vae, mean, std)
        cache.standardise(mean, std)
        pipeline = assemble(vae, word_tokenizer([*prompts, *phrases]), sizes, images.size, seed).to(device)
    _train_unet(pipeline, params, sizes, cache, shown, prompts, shares, journal, dtype, processes)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _train_autoencoder(
    vae: Any,
    params: PretrainParams,
    seed: int,
    images: ShardedImages,
    names: Sequence[str],
    journal: Journal,
    dtype: torch.dtype,
    processes: Processes,
) -> None:
    """Train on crops of half the image side: this gives four times as many steps for the same number of pixels, and the
    number of steps is what limits the autoencoder."""
    batch = params.autoencoder_batch
    factor = 2 ** (len(params.autoencoder_channels) - 1)
    crop = max(factor, images.size // (2 * factor) * factor)

    def names_of(step: int) -> list[str]:
        return [names[int(i)] for i in rng(seed, "autoencoder", step).integers(len(names), size=batch)]

    def crops(step: int) -> Tensor:
        draw = rng(seed, "autoencoder", step)
        pixels = images.read([names[int(i)] for i in draw.integers(len(names), size=batch)])
        top, left = draw.integers(0, (images.size - crop) // factor + 1, size=2) * factor
        return as_input(torch.from_numpy(pixels[:, top : top + crop, left : left + crop]), 3).to(vae.device)

    def loss(pixels: Tensor, noise: torch.Generator) -> Tensor:
        # `pixels` is a broadcast view of one channel; convolutions need it contiguous in memory
        mine = processes.share(batch)
        pixels = pixels[mine].contiguous(memory_format=torch.channels_last)
        posterior = vae.encode(pixels).latent_dist
        drawn = torch.randn(batch, *posterior.mean.shape[1:], generator=noise)[mine]
        latents = posterior.mean + posterior.std * drawn.to(vae.device)
        decoded = vae.decode(latents).sample
        return (decoded - pixels).abs().mean() + KL_WEIGHT / pixels[0].numel() * posterior.kl().mean()

    steps = params.autoencoder_steps
    phase = Phase(
        name="autoencoder",
        modules=[vae],
        groups=[{"params": list(vae.parameters()), "lr": params.autoencoder_lr, "weight_decay": 0.0}],
        batch_of=crops,
        loss_of=loss,
        images_of=names_of,
        batch_size=batch,
        epoch_images=len(names),
        seed=seed,
        schedule=Schedule(steps, math.ceil(WARMUP * steps)),
        clip_norm=CLIP_NORM,
        dtype=dtype,
        lr_keys=("autoencoder_lr",),
        batch_key="autoencoder_batch",
    )
    with naming_the_knob("'autoencoder_batch'"):
        train(phase, journal, processes)
    vae.requires_grad_(False)


@torch.no_grad()
def standardise_latents(vae: Any, mean: Tensor, std: Tensor) -> None:
    """Give every latent channel mean 0 and standard deviation 1, without changing the decoded images.

    One number for all channels, such as `scaling_factor`, would leave the channels of fine detail far below the noise.
    The factors are merged into the 1 x 1 convolutions on both sides of the latent; the autoencoder stays a stock one.

    Args:
        mean, std: [C] of the latents of the training images.
    """
    mean, std = mean.to(vae.device), std.to(vae.device)
    count = len(mean)
    to_moments, from_latent = vae.quant_conv, vae.post_quant_conv
    to_moments.weight[:count] /= std[:, None, None, None]
    to_moments.bias[:count] = (to_moments.bias[:count] - mean) / std
    to_moments.bias[count:] -= 2 * std.log()
    from_latent.bias += (from_latent.weight[:, :, 0, 0] * mean).sum(dim=1)
    from_latent.weight *= std[None, :, None, None]


def _train_unet(
    pipeline: Any,
    params: DiffusionParams,
    sizes: PretrainParams,
    cache: LatentCache,
    shown: Sequence[Shown],
    prompts: Sequence[str],
    shares: np.ndarray,
    journal: Journal,
    dtype: torch.dtype,
    processes: Processes,
) -> None:
    unet, text_encoder = pipeline.unet, pipeline.text_encoder
    seed = params.seed
    schedule = noise_schedule(pipeline)
    ids = token_ids(pipeline.tokenizer, [*prompts, ""])

    ends = np.cumsum(shares)

    def places_of(draw: np.random.Generator) -> np.ndarray:
        return np.searchsorted(ends, draw.random(sizes.unet_batch) * ends[-1], side="right")

    def names_of(step: int) -> list[str]:
        return [shown[int(i)].image for i in places_of(rng(seed, "unet", step))]

    def batch(step: int) -> tuple[Tensor, Tensor]:
        draw = rng(seed, "unet", step)
        places = places_of(draw)
        latents = cache.read([shown[int(i)] for i in places])
        places[draw.random(len(places)) < params.prompt_dropout] = len(prompts)
        return latents.to(unet.device), ids[places].to(unet.device)

    def loss(batch: tuple[Tensor, Tensor], noise: torch.Generator) -> Tensor:
        latents, tokens = batch
        # A prompt that occurs several times in a batch is encoded once
        unique, where = tokens.unique(dim=0, return_inverse=True)
        embedded = text_encoder(unique)[0][where]
        return denoising_loss(
            unet, schedule, latents, embedded, noise, min_snr_gamma=params.min_snr_gamma, processes=processes
        )

    steps = sizes.unet_steps
    modules = [unet, text_encoder]
    phase = Phase(
        name="base",
        modules=modules,
        groups=[{"params": [p for m in modules for p in m.parameters()], "lr": sizes.unet_lr, "weight_decay": 0.01}],
        batch_of=batch,
        loss_of=loss,
        images_of=names_of,
        batch_size=sizes.unet_batch,
        epoch_images=len(shown),
        seed=seed,
        schedule=Schedule(steps, math.ceil(WARMUP * steps)),
        clip_norm=CLIP_NORM,
        dtype=dtype,
        ema_decay=sizes.unet_ema,
        lr_keys=("unet_lr",),
        batch_key="unet_batch",
    )
    with naming_the_knob("'unet_batch'"):
        train(phase, journal, processes)
    for module in modules:
        module.requires_grad_(False)
