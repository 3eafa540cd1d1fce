"""A weak extra loss: where the place of a finding is known, its class map is to lie there.

Of few images are the places known (NIH has 984 boxes for 112,120 images), so it stands beside the loss on labels, which
all images have, and changes no logit's target. A map is compared by its shape alone: softmax over the places against
the share of the mask that lies in each cell. Boxes as supervision beside image labels: Thoracic Disease Identification
and Localization with Limited Supervision, https://arxiv.org/abs/1711.06373, which has another loss for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from trcgl.artifacts.places import FRAME, decode_mask, read_place_table
from trcgl.classifier.training.augment import Augmentation
from trcgl.runtime.damage import damaged
from trcgl.runtime.logging import get_logger

log = get_logger("places")

SIDE = 64
"""Pixels a side of the masks: several to each cell of a map."""


@dataclass(frozen=True)
class KnownPlaces:
    """Masks of findings in training images.

    Attributes:
        rows, columns: int [P], row of the image and column of the finding.
        masks: float32 [P, SIDE, SIDE] in 0..1, in the square that the network reads.
        weight: of this loss beside the labels'.
        look: how far down and to the right of the middle of their tiles the map's cells look, as shares of the side;
            see `receptive_shift`. It is measured on the network that training starts from.
    """

    rows: np.ndarray
    columns: np.ndarray
    masks: Tensor
    weight: float
    look: tuple[float, float] = (0.0, 0.0)

    def of_batch(self, batch: np.ndarray, share: slice, augment: Augmentation, seed: int) -> "PlacesOfBatch":
        """Those of one process's share of a batch, moved as its images are.

        Args:
            batch: row numbers of the whole batch; an image may come several times.
            share: of it.
            seed: of its augmentation.
        """
        at, which = np.nonzero(batch[share, None] == self.rows[None, :])
        masks = self.masks[which]
        moved = augment.moved(masks, torch.from_numpy(at + (share.start or 0)), seed, len(batch), look=self.look)
        return PlacesOfBatch(torch.from_numpy(at), torch.from_numpy(self.columns[which]), moved, self.weight)


@dataclass(frozen=True)
class PlacesOfBatch:
    """As KnownPlaces, of the images of a batch.

    Attributes:
        images: int [K], place of the image in the batch.
        columns, masks, weight: see KnownPlaces.
    """

    images: Tensor
    columns: Tensor
    masks: Tensor
    weight: float

    def part(self, start: int, count: int) -> "PlacesOfBatch":
        """Those of `count` images of it from `start` on."""
        mine = (self.images >= start) & (self.images < start + count)
        return PlacesOfBatch(self.images[mine] - start, self.columns[mine], self.masks[mine], self.weight)

    def loss(self, maps: Tensor) -> Tensor:
        """weight times the cross-entropy of the maps with the masks, summed over the masks and divided by the images.

        A mask that the augmentation has moved out of the picture counts nothing.

        Args:
            maps: class maps [B, C, h, w], which sum to the logits.
        """
        height, width = maps.shape[2:]
        cells = F.adaptive_avg_pool2d(self.masks.to(maps.device)[:, None], (height, width)).flatten(1)
        total = cells.sum(dim=1, keepdim=True)
        there = total[:, 0] > 0
        # Of a mean over the places: back to what is said at each
        scores = maps[self.images.to(maps.device), self.columns.to(maps.device)].flatten(1) * (height * width)
        entropy = -(cells / total.clamp(min=1e-6) * scores.log_softmax(dim=1)).sum(dim=1)
        return self.weight * (entropy * there).sum() / len(maps)


def read_places(
    path: Path, names: Sequence[str], train: np.ndarray, findings: Sequence[str], weight: float
) -> KnownPlaces | None:
    """The places that lie in training images; None if none does.

    Args:
        path: what read_boxes has left; images that are not trained on and other findings are left out.
        names: of all images, by row.
        train: row numbers.

    Raises:
        InputError: the file is damaged, or a mask is not in the square that the network reads.
    """
    table = read_place_table(path)
    row = {names[number]: number for number in train.tolist()}
    column = {finding: number for number, finding in enumerate(findings)}
    mine = table[table["image"].isin(row) & table["finding"].isin(column)]
    if not table.empty:
        log.info("class maps learn from %d of %d known places: those of training images", len(mine), len(table))
    if mine.empty:
        return None
    return KnownPlaces(
        rows=np.array([row[name] for name in mine["image"]], dtype=np.int64),
        columns=np.array([column[name] for name in mine["finding"]], dtype=np.int64),
        masks=torch.from_numpy(np.stack([_shrunk(path, decode_mask(mask)) for mask in mine["mask"]])),
        weight=weight,
    )


def _shrunk(path: Path, mask: np.ndarray) -> np.ndarray:
    """float32 [SIDE, SIDE] in 0..1, the share of each pixel that a mask [FRAME, FRAME] covers."""
    if mask.shape != (FRAME, FRAME):
        raise damaged(path, f"a mask has {mask.shape[1]} x {mask.shape[0]} pixels, not {FRAME} x {FRAME}")
    small = cv2.resize(mask.astype(np.uint8) * 255, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255.0
