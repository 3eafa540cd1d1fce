"""A weak additional loss: where the position of a finding is known, its class map should be large there.

Positions are known for few images (NIH has 984 boxes for 112,120 images). The loss is therefore added to the loss on
labels, which all images have, and it changes no logit's target. It only compares the shape of a map: the softmax over
the positions against the share of the mask that lies in each cell. Boxes were used as supervision in addition to image
labels, with another loss, in Thoracic Disease Identification and Localization with Limited Supervision,
https://arxiv.org/abs/1711.06373.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from trcgl.artifacts.places import FRAME, decode_mask, read_place_table
from trcgl.classifier.training.augment import Augmentation
from trcgl.runtime.damage import damaged
from trcgl.runtime.logging import get_logger

log = get_logger("places")

SIDE = 64
"""Side of the masks in pixels, so that a cell of a map covers several mask pixels."""


@dataclass(frozen=True)
class KnownPlaces:
    """Masks of findings in training images.

    Attributes:
        rows, columns: int [P], row of the image and column of the finding.
        masks: float32 [P, SIDE, SIDE] in 0..1, in the square that the network reads.
        weight: factor of this loss, relative to the loss on labels.
        look: how far (down, right) the cells' receptive fields lie from the centres of their tiles, as shares of the
            side; see `receptive_shift`. It is measured on the network before training.
    """

    rows: np.ndarray
    columns: np.ndarray
    masks: Tensor
    weight: float
    look: tuple[float, float] = (0.0, 0.0)

    def of_batch(self, batch: np.ndarray, share: slice, augment: Augmentation, seed: int) -> "PlacesOfBatch":
        """The masks for one process's share of a batch, with the same augmentation as the images.

        Args:
            batch: row numbers of the whole batch; an image may occur several times.
            share: the part of the batch that this process computes.
            seed: seed of the batch's augmentation.
        """
        at, which = np.nonzero(batch[share, None] == self.rows[None, :])
        masks = self.masks[which]
        moved = augment.moved(masks, torch.from_numpy(at + (share.start or 0)), seed, len(batch), look=self.look)
        return PlacesOfBatch(torch.from_numpy(at), torch.from_numpy(self.columns[which]), moved, self.weight)


@dataclass(frozen=True)
class PlacesOfBatch:
    """Like KnownPlaces, for the images of a batch.

    Attributes:
        images: int [K], index of the image in the batch that this object describes.
        columns, masks, weight: see KnownPlaces.
    """

    images: Tensor
    columns: Tensor
    masks: Tensor
    weight: float

    def part(self, start: int, count: int) -> "PlacesOfBatch":
        """The masks of `count` images of the batch, from index `start` on."""
        mine = (self.images >= start) & (self.images < start + count)
        return PlacesOfBatch(self.images[mine] - start, self.columns[mine], self.masks[mine], self.weight)

    def loss(self, maps: Tensor) -> Tensor:
        """`weight` times the cross-entropy of maps and masks, summed over masks and divided by the number of images.

        A mask that the augmentation has moved out of the image is ignored.

        Args:
            maps: class maps [B, C, h, w], which sum to the logits.
        """
        height, width = maps.shape[2:]
        masks = self.masks.to(maps.device)
        down, across = (overlaps(cells, SIDE).to(masks) for cells in (height, width))
        cells = (down @ masks @ across.T).flatten(1)
        total = cells.sum(dim=1, keepdim=True)
        there = total[:, 0] > 0
        # A class map is a term of a mean over the positions; this gives the scores at the positions
        scores = maps[self.images.to(maps.device), self.columns.to(maps.device)].flatten(1) * (height * width)
        entropy = -(cells / total.clamp(min=1e-6) * scores.log_softmax(dim=1)).sum(dim=1)
        return self.weight * (entropy * there).sum() / len(maps)


def overlaps(cells: int, pixels: int) -> Tensor:
    """float64 [cells, pixels]: how much of each pixel lies in each cell, along a side that both divide evenly."""
    cell, pixel = (torch.linspace(0, pixels, count + 1, dtype=torch.float64) for count in (cells, pixels))
    ends = torch.minimum(cell[1:, None], pixel[None, 1:]) - torch.maximum(cell[:-1, None], pixel[None, :-1])
    return ends.clamp(min=0)


def read_places(
    path: Path, names: Sequence[str], train: np.ndarray, findings: Sequence[str], weight: float
) -> KnownPlaces | None:
    """The known positions in training images; None if there are none.

    Args:
        path: file written by read_boxes; images that are not trained on, and other findings, are left out.
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
    """float32 [SIDE, SIDE] in 0..1: the share of each pixel that a mask [FRAME, FRAME] covers."""
    if mask.shape != (FRAME, FRAME):
        raise damaged(path, f"a mask has {mask.shape[1]} x {mask.shape[0]} pixels, not {FRAME} x {FRAME}")
    small = cv2.resize(mask.astype(np.uint8) * 255, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255.0
