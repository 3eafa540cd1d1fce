"""Latents of real images, computed once, so that training does not run the autoencoder."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trcgl.artifacts.shards import ShardedImages
from trcgl.diffusion.generator.base import as_input
from trcgl.numerics.device import fp32_or, name_of
from trcgl.runtime.errors import InputError

BATCH, SMALL = 16, 256
"""Images that are encoded together, and the side up to which they are as many; fewer of larger ones fit in memory."""


class Shown(NamedTuple):
    """An image, shifted right and down by whole pixels (no interpolation, so noise and thin lines are kept)."""

    image: str
    right: int = 0
    down: int = 0


class LatentCache:
    """Scaled latents of shown images, in memory.

    The mean of the posterior is kept, not a random sample, because the posterior's standard deviation is far below that
    of the latents. Images are encoded in batches padded to a fixed size, so that a latent does not depend on its batch.
    """

    def __init__(self, vae: Any, images: ShardedImages, *, batch: int | None = None):
        self.vae = vae
        self.images = images
        self.batch = batch or max(1, min(BATCH, BATCH * SMALL**2 // images.size**2))
        self._place: dict[Shown, int] = {}
        self._latents: list[Tensor] = []

    def add(self, shown: Sequence[Shown]) -> None:
        """Encode the images that are not cached yet.

        Raises:
            InputError: a latent is not finite; the message names the image.
        """
        new = [one for one in dict.fromkeys(shown) if one not in self._place]
        for start in range(0, len(new), self.batch):
            chunk = new[start : start + self.batch]
            filled = chunk + [chunk[0]] * (self.batch - len(chunk))
            scaled = encode(self.vae, shown_pixels(self.images, filled), [one.image for one in filled])
            for one, latent in zip(chunk, scaled, strict=False):
                self._place[one] = len(self._latents)
                self._latents.append(latent.clone())

    def read(self, shown: Sequence[Shown]) -> Tensor:
        """float32 [n, C, h, w] on the CPU."""
        return torch.stack([self._latents[self._place[one]] for one in shown])

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel over all cached latents: float32 [C] each."""
        latents = torch.stack(self._latents).transpose(0, 1).flatten(1)
        return latents.mean(dim=1), latents.std(dim=1).clamp(min=1e-6)

    def standardise(self, mean: Tensor, std: Tensor) -> None:
        """Standardise the cached latents, after the channels of the autoencoder itself were standardised."""
        self._latents = [(latent - mean[:, None, None]) / std[:, None, None] for latent in self._latents]


@torch.no_grad()
def encode(vae: Any, pixels: np.ndarray, names: Sequence[str]) -> Tensor:
    """Scaled latents of pictures: float32 [n, C, h, w] on the CPU; the mean of the posterior.

    Args:
        pixels: uint8 [n, S, S].
        names: of the images, for messages.

    Raises:
        InputError: a latent is not finite; the message names the image.
    """
    means = vae.encode(as_input(torch.from_numpy(pixels), vae.config.in_channels).to(vae.device, vae.dtype))
    scaled = (means.latent_dist.mode().float() * vae.config.scaling_factor).cpu()
    bad = (~scaled.isfinite()).flatten(1).any(dim=1).nonzero().flatten().tolist()
    if bad:
        raise InputError(
            f"the autoencoder's latent of image '{names[bad[0]]}' is not finite in {name_of(vae.dtype)}; "
            f"{fp32_or(vae.dtype, 'give another base')}"
        )
    return scaled


def shown_pixels(images: ShardedImages, shown: Sequence[Shown]) -> np.ndarray:
    """uint8 [n, S, S]."""
    pixels = images.read([one.image for one in shown])
    return np.stack([shifted(image, one.right, one.down) for image, one in zip(pixels, shown, strict=True)])


def shifted(image: np.ndarray, right: int, down: int) -> np.ndarray:
    """The image [S, S], shifted by whole pixels; the new border repeats the edge pixels."""
    size = len(image)
    rows, columns = (np.arange(size) - down).clip(0, size - 1), (np.arange(size) - right).clip(0, size - 1)
    return image[np.ix_(rows, columns)]
