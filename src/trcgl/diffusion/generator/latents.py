"""Latents of real images, computed once: an epoch then costs no autoencoder."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trcgl.artifacts.shards import ShardedImages
from trcgl.diffusion.generator.base import as_input
from trcgl.runtime.errors import InputError


class Shown(NamedTuple):
    """An image, moved right and down by whole pixels (nothing is interpolated, so noise and thin lines stay)."""

    image: str
    right: int = 0
    down: int = 0


class LatentCache:
    """Scaled latents of shown images, in memory.

    The mean of the posterior is kept, not a draw: its spread is far below the latents' own.
    Images are encoded in batches filled up to a fixed size, so that a latent does not depend on its batch.
    """

    def __init__(self, vae: Any, images: ShardedImages, *, batch: int = 16):
        self.vae = vae
        self.images = images
        self.batch = batch
        self._place: dict[Shown, int] = {}
        self._latents: list[Tensor] = []

    @torch.no_grad()
    def add(self, shown: Sequence[Shown]) -> None:
        """Encode those that are not there yet.

        Raises:
            InputError: a latent is not finite; the message names the image.
        """
        new = [one for one in dict.fromkeys(shown) if one not in self._place]
        device, dtype, channels = self.vae.device, self.vae.dtype, self.vae.config.in_channels
        for start in range(0, len(new), self.batch):
            chunk = new[start : start + self.batch]
            filled = chunk + [chunk[0]] * (self.batch - len(chunk))
            pixels = as_input(torch.from_numpy(self._pixels(filled)), channels).to(device, dtype)
            means = self.vae.encode(pixels).latent_dist.mode()
            scaled = (means.float() * self.vae.config.scaling_factor).cpu()
            bad = (~scaled.isfinite()).flatten(1).any(dim=1).nonzero().flatten().tolist()
            if bad:
                raise InputError(
                    f"diffusion: the autoencoder's latent of image '{filled[bad[0]].image}' is not finite in "
                    f"{str(dtype).removeprefix('torch.')}; set compute.precision to fp32, or give another base"
                )
            for one, latent in zip(chunk, scaled, strict=False):
                self._place[one] = len(self._latents)
                self._latents.append(latent.clone())

    def _pixels(self, shown: Sequence[Shown]) -> np.ndarray:
        pixels = self.images.read([one.image for one in shown])
        for i, one in enumerate(shown):
            if one.right or one.down:
                pixels[i] = shifted(pixels[i], one.right, one.down)
        return pixels

    def read(self, shown: Sequence[Shown]) -> Tensor:
        """float32 [n, C, h, w] on the CPU."""
        return torch.stack([self._latents[self._place[one]] for one in shown])

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel over all cached latents: float32 [C] each."""
        latents = torch.stack(self._latents).transpose(0, 1).flatten(1)
        return latents.mean(dim=1), latents.std(dim=1).clamp(min=1e-6)

    def standardise(self, mean: Tensor, std: Tensor) -> None:
        """Follow an autoencoder whose channels were standardised after latents had been cached."""
        self._latents = [(latent - mean[:, None, None]) / std[:, None, None] for latent in self._latents]


def shifted(image: np.ndarray, right: int, down: int) -> np.ndarray:
    """The image [S, S] moved by whole pixels; the border that appears repeats the edge."""
    size = len(image)
    rows, columns = (np.arange(size) - down).clip(0, size - 1), (np.arange(size) - right).clip(0, size - 1)
    return image[np.ix_(rows, columns)]
