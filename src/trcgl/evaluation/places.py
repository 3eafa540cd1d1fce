"""Masks of findings in the evaluated images, in the square that the network reads (see places/masks.py)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.artifacts.places import FRAME, decode_mask, read_place_table
from trcgl.places.masks import in_frame


@dataclass(frozen=True)
class Places:
    """Masks of findings in images, one entry per pair of image and finding.

    Attributes:
        rows, columns: [P] row of the image and column of the finding.
        masks: bool [P, FRAME, FRAME]; none is empty.
    """

    rows: np.ndarray
    columns: np.ndarray
    masks: np.ndarray


def read_lesions(boxes: str | Path, outlines: str | Path) -> pd.DataFrame:
    """A table of masks: image, finding, mask (PNG); empty if no position is known.

    Args:
        boxes: file written by read_boxes; it takes precedence.
        outlines: outlines of the phantom's lesions, used if no box is known; only the phantom has this file.
    """
    known = read_place_table(boxes)
    return read_place_table(outlines) if known.empty and Path(outlines).exists() else known


def each_place(
    lesions: pd.DataFrame, names: Sequence[str], labels: np.ndarray, findings: Sequence[str], resize: str
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Row, column and mask in the frame of every positive with a known mask; masks cropped away are left out.

    Args:
        lesions: image, finding, mask (PNG); several masks of one pair are united.
        names: N images.
        labels: [N, C] of 1, 0 or NaN.
        findings: C.
    """
    row, column = ({name: i for i, name in enumerate(sequence)} for sequence in (names, findings))
    known = lesions[lesions["image"].isin(row) & lesions["finding"].isin(column)]
    for (image, finding), masks in known.groupby(["image", "finding"], sort=True)["mask"]:
        place = row[str(image)], column[str(finding)]
        if labels[place] == 1:
            mask = in_frame(np.logical_or.reduce([decode_mask(png) for png in masks]), resize)
            if mask.any():
                yield *place, mask


def find_places(
    lesions: pd.DataFrame, names: Sequence[str], labels: np.ndarray, findings: Sequence[str], resize: str
) -> Places:
    """All results of `each_place`, ordered by finding, then by image."""
    found = sorted(each_place(lesions, names, labels, findings, resize), key=lambda place: (place[1], place[0]))
    masks = [mask for _, _, mask in found]
    return Places(
        rows=np.array([row for row, _, _ in found], dtype=np.int64),
        columns=np.array([column for _, column, _ in found], dtype=np.int64),
        masks=np.stack(masks) if masks else np.empty((0, FRAME, FRAME), dtype=bool),
    )


def mean_masks(
    lesions: pd.DataFrame, names: Sequence[str], labels: np.ndarray, findings: Sequence[str], resize: str
) -> np.ndarray:
    """Mean mask of each finding: [C, FRAME, FRAME] in 0..1; NaN for a finding without a mask."""
    total = np.zeros((len(findings), FRAME, FRAME), dtype=np.float32)
    count = np.zeros((len(findings), 1, 1), dtype=np.float32)
    for _, column, mask in each_place(lesions, names, labels, findings, resize):
        total[column] += mask
        count[column] += 1
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
