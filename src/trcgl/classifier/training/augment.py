"""Light augmentation of a whole batch at once, with separate random values for every image."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from trcgl.config import TrainingParams

Row = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes; all are sampled uniformly, and a range of 0 changes nothing.

    Attributes:
        flip: probability of a horizontal flip (it changes whether a heart shows dextrocardia, so use 0 where the side
            matters).
        rotate_degrees: largest angle in both directions.
        shift: largest shift in both directions along each axis, as a share of the side.
        scale: largest relative change of size.
        contrast: largest relative change of contrast about the image's own mean.
        noise: largest standard deviation of Gaussian noise, in units of the full grey range.
    """

    flip: float
    rotate_degrees: float
    shift: float
    scale: float
    contrast: float
    noise: float

    @classmethod
    def from_params(cls, params: TrainingParams) -> "Augmentation":
        return cls(params.flip, params.rotate_degrees, params.shift, params.scale, params.contrast, params.noise)

    def __call__(self, images: Tensor, seed: int, *, first: int = 0, of: int | None = None) -> Tensor:
        """Augment a batch, or a part of a batch with the same result as in the whole batch.

        Args:
            images: float [B, 1, S, S] in 0..1.
            seed: the only source of randomness; except for the noise, random values are the same on every device.
            first: index of the first image in the whole batch.
            of: number of images in the whole batch; None: `images` is the whole batch.

        Returns:
            [B, 1, S, S] in 0..1; pixels from outside the frame are black.
        """
        batch, device = len(images), images.device
        whole, part = of or batch, slice(first, first + batch)
        draws = torch.rand(7, whole, generator=torch.Generator().manual_seed(seed))[:, part].to(device)
        symmetric = 2.0 * draws - 1.0
        grid = _sources(images.shape[-1], *self._rows(draws, symmetric))
        images = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        mean = images.mean((1, 2, 3), keepdim=True)
        # In place from here on: on a CPU each new tensor of a batch costs as much as the arithmetic
        images.sub_(mean).mul_((1.0 + self.contrast * symmetric[4]).view(-1, 1, 1, 1)).add_(mean)
        if self.noise:
            generator = torch.Generator(device=device).manual_seed(seed)
            noise = torch.randn((whole, *images.shape[1:]), generator=generator, device=device)[part]
            images += noise.mul_((self.noise * draws[5]).view(-1, 1, 1, 1))
        return images.clamp_(0.0, 1.0)

    def moved(self, masks: Tensor, which: Tensor, seed: int, of: int, *, look: tuple[float, float]) -> Tensor:
        """Masks with the same geometric changes that `__call__` with the same seed makes to their images.

        Args:
            masks: float [K, m, m].
            which: int [K], index in the whole batch of the image that each mask belongs to.
            of: number of images in the whole batch.
            look: (down, right) as shares of the side. A position of the result shows what lies this far down and to the
                right of it, as the receptive fields of a map's cells do (see `receptive_shift`).

        Returns:
            [K, m, m]; pixels from outside the frame are 0.
        """
        draws = torch.rand(7, of, generator=torch.Generator().manual_seed(seed))[:, which.cpu()].to(masks.device)
        across, down = self._rows(draws, 2.0 * draws - 1.0)
        # The offset `look` is in coordinates of the augmented image, so the same matrix applies to it
        (a, b, c), (d, e, f) = across, down
        y, x = 2.0 * look[0], 2.0 * look[1]
        grid = _sources(masks.shape[-1], (a, b, c + a * x + b * y), (d, e, f + d * x + e * y))
        return F.grid_sample(masks[:, None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)[:, 0]

    def _rows(self, draws: Tensor, symmetric: Tensor) -> tuple[Row, Row]:
        """Rows of the affine matrix from output to source; `draws` [7, B] in 0..1, `symmetric` the same in -1..1."""
        angle = symmetric[0] * math.radians(self.rotate_degrees)
        # grid_sample looks up sources: a larger object needs a smaller step
        step = 1.0 / (1.0 + symmetric[1] * self.scale)
        mirror = torch.where(draws[6] < self.flip, -1.0, 1.0)
        cosine, sine = angle.cos() * step, angle.sin() * step
        # The frame runs from -1 to 1, so a share of the side is twice as many units
        move_x, move_y = 2.0 * self.shift * symmetric[2], 2.0 * self.shift * symmetric[3]
        return (cosine * mirror, -sine, move_x), (sine * mirror, cosine, move_y)


def _sources(size: int, across: Row, down: Row) -> Tensor:
    """Source position of each pixel: [B, S, S, 2] as from `F.affine_grid`, in a quarter of its time.

    Args:
        size: S.
        across, down: the rows of the affine matrix, each three of [B]: x and y of the source are
            row[0] x + row[1] y + row[2].
    """
    place = (2.0 * torch.arange(size, device=across[0].device) + 1.0) / size - 1.0
    grid = place.new_empty(len(across[0]), size, size, 2)
    for axis, (by_x, by_y, move) in enumerate((across, down)):
        along = (by_x[:, None] * place + move[:, None])[:, None, :]
        torch.add(along, (by_y[:, None] * place)[:, :, None], out=grid[..., axis])
    return grid
