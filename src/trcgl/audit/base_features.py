"""A frozen feature space: features of the generator's base before fine-tuning, which no training run changes.

Diffusion features (Tang et al., Emergent correspondence from image diffusion, arXiv 2306.03881): the image is encoded,
a little noise is added, and the output of a U-Net block is used. Here it is the middle block (the last one on the way
down, if there is none), averaged over all positions, with the empty prompt, without adapters and with the same noise
for every image.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trcgl.artifacts.pixels import Pixels, resized
from trcgl.diffusion.generator.base import as_input, latent_size, noise_schedule
from trcgl.diffusion.generator.prompts import text_embeddings
from trcgl.diffusion.generator.saved import load_base
from trcgl.numerics.seeding import seed_of

NOISED = 0.05
"""Fraction of the noise schedule's timesteps. From 0.001 to 0.26, artificial copies were equally near to originals."""
BATCH = 8


class BaseFeatures:
    """A callable that maps images of any size to their features.

    Args:
        generator: folder of a generator; it contains or names the base.
        device: the computation runs on this device, in float32.

    Raises:
        InputError: there is no generator, or its base cannot be loaded.
    """

    @torch.inference_mode()
    def __init__(self, generator: Path, device: torch.device):
        pipeline, card = load_base(generator)
        self.size = card.size
        self._vae: Any = pipeline.vae.to(device).eval()
        self._unet: Any = pipeline.unet.to(device).eval()
        self._schedule = noise_schedule(pipeline)
        self._time = torch.tensor([round(NOISED * self._schedule.config.num_train_timesteps)])
        self._text = text_embeddings(pipeline.tokenizer, pipeline.text_encoder.eval(), [""]).to(device)
        seeded = torch.Generator().manual_seed(seed_of("audit", "noise of the base's features"))
        self._noise = torch.randn(1, *latent_size(pipeline), generator=seeded)

    @torch.inference_mode()
    def __call__(self, images: Pixels) -> np.ndarray:
        """uint8 [N, S, S] -> float32 [N, F]; batches are padded, so that no image's features depend on the others."""
        kept: list[Tensor] = []

        def keep(_: nn.Module, __: tuple[Tensor, ...], out: Tensor | tuple[Tensor, ...]) -> None:
            # A block on the way down also gives what the way up adds again
            kept.append((out if isinstance(out, Tensor) else out[0]).mean((2, 3)).cpu())

        # Small distilled models have no middle block
        block = self._unet.down_blocks[-1] if self._unet.mid_block is None else self._unet.mid_block
        hook = block.register_forward_hook(keep)
        try:
            for start in range(0, len(images), BATCH):
                rows = np.arange(start, min(start + BATCH, len(images)))
                self._look(resized(images[np.resize(rows, BATCH)], self.size))
                kept[-1] = kept[-1][: len(rows)]
        finally:
            hook.remove()
        width = self._unet.config.block_out_channels[-1]
        return torch.cat(kept).numpy() if kept else np.empty((0, width), np.float32)

    def _look(self, images: np.ndarray) -> None:
        pixels = as_input(torch.from_numpy(images), self._vae.config.in_channels).to(self._text.device)
        latents = self._vae.encode(pixels).latent_dist.mode() * self._vae.config.scaling_factor
        noise = self._noise.to(latents).expand_as(latents)
        time = self._time.to(latents.device)
        noised = self._schedule.add_noise(latents, noise, time)
        self._unet(noised, time, encoder_hidden_states=self._text.expand(len(images), -1, -1))
