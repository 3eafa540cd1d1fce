"""Light augmentation of a whole batch at once, every image with its own draw."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from trcgl.config import TrainingParams

Row = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes; all draws are uniform and zeros change nothing.

    Attributes:
        flip: chance of a horizontal flip (it turns dextrocardia into its opposite, so 0 where the side matters).
        rotate_degrees: largest angle either way.
        shift: largest shift either way along each axis, as a share of the side.
        scale: largest change of size, as a share.
        contrast: largest change of contrast about the image's own mean, as a share.
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
        """Augment a batch, or a part of one as it is augmented in the whole.

        Args:
            images: float [B, 1, S, S] in 0..1.
            seed: the only source of randomness; the draws are the same on every device but for the noise.
            first: place of the first image in the whole batch.
            of: images in the whole batch; None: these are all.

        Returns:
            [B, 1, S, S] in 0..1; what comes in from outside the frame is black.
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
        """Masks moved as their images are by `__call__` with the same seed.

        Args:
            masks: float [K, m, m].
            which: int [K], the place in the whole batch of the image that each is of.
            of: images in the whole batch.
            look: a place of the result shows what lies that far down and to the right, as shares of the side (where the
                cells of a map look, see `receptive_shift`).

        Returns:
            [K, m, m]; nothing comes in from outside the frame.
        """
        draws = torch.rand(7, of, generator=torch.Generator().manual_seed(seed))[:, which.cpu()].to(masks.device)
        across, down = self._rows(draws, 2.0 * draws - 1.0)
        # The offset is of the augmented picture: it goes through the same matrix
        (a, b, c), (d, e, f) = across, down
        y, x = 2.0 * look[0], 2.0 * look[1]
        grid = _sources(masks.shape[-1], (a, b, c + a * x + b * y), (d, e, f + d * x + e * y))
        return F.grid_sample(masks[:, None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)[:, 0]

    def _rows(self, draws: Tensor, symmetric: Tensor) -> tuple[Row, Row]:
        """The rows of the matrix that says where pixels come from, of draws [7, B] in 0..1 and the same in -1..1."""
        angle = symmetric[0] * math.radians(self.rotate_degrees)
        # grid_sample looks up sources: a larger object needs a smaller step
        step = 1.0 / (1.0 + symmetric[1] * self.scale)
        mirror = torch.where(draws[6] < self.flip, -1.0, 1.0)
        cosine, sine = angle.cos() * step, angle.sin() * step
        # The frame runs from -1 to 1, so a share of the side is twice as many units
        move_x, move_y = 2.0 * self.shift * symmetric[2], 2.0 * self.shift * symmetric[3]
        return (cosine * mirror, -sine, move_x), (sine * mirror, cosine, move_y)


def _sources(size: int, across: Row, down: Row) -> Tensor:
    """Where each pixel comes from: [B, S, S, 2] as of `F.affine_grid`, in a quarter of its time.

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
