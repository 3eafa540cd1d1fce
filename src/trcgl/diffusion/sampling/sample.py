"""Generate images: latent diffusion with classifier-free guidance and DPM-Solver++ (Lu et al., arXiv 2211.01095).

This module has its own denoising loop around the stock scheduler, U-Net and autoencoder. The stock pipeline uses
guidance either in all steps or in none, so it cannot save the second U-Net branch in a part of the steps. If all steps
are guided, this loop generates the same images as the pipeline.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trcgl.artifacts.shards import ShardedImages
from trcgl.config import SamplingParams
from trcgl.diffusion.generator.base import latent_size
from trcgl.diffusion.generator.latents import encode, shifted, shown_pixels
from trcgl.diffusion.generator.prompts import guided_embeddings
from trcgl.diffusion.generator.saved import Generator
from trcgl.diffusion.sampling.finding_map import TRAIN_LOWER
from trcgl.diffusion.sampling.grafted_plan import Regions, grafted
from trcgl.diffusion.sampling.plan import Sample
from trcgl.numerics.device import fp32_or, name_of
from trcgl.runtime.errors import InputError


def is_guided(step: int, params: SamplingParams) -> bool:
    """Whether a step (0 .. `params.steps` - 1) is guided: it must begin within [guidance_start, guidance_end).

    Guidance in a limited interval is from Kynkäänniemi et al., arXiv 2404.07724. They limit noise levels. Here the
    limits are fractions of the steps, because these mean the same for every base and number of steps.
    """
    return params.guidance_scale > 1 and params.guidance_start <= step / params.steps < params.guidance_end


def first_step(params: SamplingParams) -> int:
    """First denoising step, counted from 0, for a start at `params.strength`; at least the last step is always done."""
    return params.steps - max(1, int(params.steps * params.strength))


@torch.no_grad()
def denoise(
    pipeline: Any,
    positive: Tensor,
    negative: Tensor,
    noise: Tensor,
    params: SamplingParams,
    carriers: Tensor | None = None,
) -> Tensor:
    """Denoise with the pipeline's scheduler, and decode to images.

    Args:
        positive: embeddings of the prompts, [B, tokens, width] in the U-Net's dtype.
        negative: embeddings that guidance moves away from; same shape and dtype.
        noise: standard normal, [B, C, h, w].
        carriers: scaled latents of real images, [B, C, h, w]. Below `strength` 1, denoising starts from these latents
            at the noise level of the first step (SDEdit, Meng et al., arXiv 2108.01073); None: from pure noise.

    Returns:
        Grey float32 [B, size, size] in 0..1 on the pipeline's device.
    """
    scheduler, unet, vae = pipeline.scheduler, pipeline.unet, pipeline.vae
    _set_steps(scheduler, params.steps, unet.device)
    both = torch.cat([negative, positive])
    # The solver works in float32, because bfloat16 would round the latents in every step
    latents = noise.to(unet.device, torch.float32) * scheduler.init_noise_sigma
    first = 0
    if carriers is not None:
        first = first_step(params)
        scheduler.set_begin_index(first)
        at = scheduler.timesteps[first : first + 1].expand(len(noise))
        latents = scheduler.add_noise(carriers.to(latents), noise.to(latents), at)
    for step, time in list(enumerate(scheduler.timesteps))[first:]:
        guided = is_guided(step, params)
        seen = scheduler.scale_model_input(torch.cat([latents, latents]) if guided else latents, time)
        embedded = both if guided else positive
        predicted = unet(seen.to(unet.dtype), time, encoder_hidden_states=embedded, return_dict=False)[0].float()
        if guided:
            away, towards = predicted.chunk(2)
            predicted = away + params.guidance_scale * (towards - away)
        latents = scheduler.step(predicted, time, latents, return_dict=False)[0]
    decoded = vae.decode((latents / vae.config.scaling_factor).to(vae.dtype), return_dict=False)[0]
    return pipeline.image_processor.postprocess(decoded.float(), output_type="pt").mean(dim=1)


def _set_steps(scheduler: Any, steps: int, device: torch.device) -> None:
    """Prepare the scheduler.

    Raises:
        InputError: it makes another number of steps, repeats one, or goes below 0, as diffusers' schedulers do for some
            numbers because of rounding.
    """
    if not _makes(scheduler, steps):
        times = scheduler.timesteps.tolist()
        other = next(fewer for fewer in range(steps - 1, 0, -1) if _makes(scheduler, fewer))
        raise InputError(
            f"'sampling.steps' is {steps}, of which this base's scheduler makes {len(times)} steps, {len(set(times))} "
            f"of them different, down to timestep {min(times):g}; give another number, such as {other}"
        )
    scheduler.set_timesteps(steps, device=device)


def _makes(scheduler: Any, steps: int) -> bool:
    """Whether a scheduler makes so many different steps, none of them below 0."""
    scheduler.set_timesteps(steps)
    times = scheduler.timesteps.tolist()
    return len(times) == len(set(times)) == steps and min(times) >= 0


def as_uint8(grey: Tensor) -> np.ndarray:
    """Float [B, S, S] in 0..1 -> uint8 on the CPU."""
    return (grey * 255).round().to(torch.uint8).cpu().numpy()


def initial_noise(pipeline: Any, seeds: Sequence[int]) -> Tensor:
    """Float32 [len(seeds), C, h, w] on the CPU, so that every device starts from the same noise."""
    shape = latent_size(pipeline)
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def draw(
    generator: Generator,
    samples: Sequence[Sample],
    params: SamplingParams,
    images: ShardedImages,
    regions: Regions | None = None,
) -> np.ndarray:
    """Generate at most `params.micro_batch` images, of any findings.

    A smaller batch is padded to `params.micro_batch` samples, and the extra images are dropped. The reason: another
    batch size changes the order of the floating-point operations, and so the last bits of the result. With a fixed
    size, an image does not depend on the other images of its batch.

    Args:
        generator: from `load_generator`.
        images: hold the samples' carriers and sources.
        regions: contain the regions of all samples with a source; None: no sample has a source.

    Returns:
        Grey uint8 [len(samples), size, size]; at `strength` 0 the starting pictures, without any denoising.

    Raises:
        InputError: a generated image is not finite.
    """
    if params.strength == 0:
        return starting_pictures(samples, images, regions)
    filled = [*samples, *[samples[-1]] * (params.micro_batch - len(samples))]
    positive, negative = guided_embeddings(
        generator.pipeline, generator.tokens, [s.prompt for s in filled], [s.findings for s in filled]
    )
    noise = initial_noise(generator.pipeline, [s.seed for s in filled])
    carriers = None
    if first_step(params):
        starts = starting_pictures(filled, images, regions)
        carriers = encode(generator.pipeline.vae, starts, [s.carrier.image for s in filled])
    drawn = denoise(generator.pipeline, positive, negative, noise, params, carriers)[: len(samples)]
    for sample, finite in zip(samples, drawn.isfinite().flatten(1).all(dim=1).tolist(), strict=True):
        if not finite:
            dtype = generator.pipeline.unet.dtype
            raise InputError(
                f"the drawn image '{sample.sample}' is not finite in {name_of(dtype)}; {fp32_or(dtype, TRAIN_LOWER)}"
            )
    return as_uint8(drawn)


def starting_pictures(samples: Sequence[Sample], images: ShardedImages, regions: Regions | None) -> np.ndarray:
    """The images that denoising starts from, uint8 [n, S, S]: carriers, with the regions of the sources pasted in."""
    pixels = shown_pixels(images, [sample.carrier for sample in samples])
    for place, sample in enumerate(samples):
        if sample.source is not None:
            assert regions is not None, "a graft needs its region"
            picture = grafted(sample, images, regions)
            pixels[place] = shifted(picture, sample.carrier.right, sample.carrier.down)
    return pixels
