"""Where findings are: masks and boxes, brought into the square that the network sees.

Masks and boxes come in the frame of the image file. A picture goes through `resize_square` on its way to the network,
so a mask goes through the same function, with the same mode: padding and cropping are then the same by construction
(to the rounding of half a pixel of the network's size). The side is FRAME for every data set, so that a tolerance in
pixels means the same share of a picture everywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from trcgl.images.resize import resize_square
from trcgl.runtime.files import read_parquet

FRAME = 256
"""Side in pixels of the square in which places are compared."""
BOX_FRAME = 1024
"""Pixels on the longer side of masks that are made of boxes: NIH's own."""


@dataclass(frozen=True)
class Places:
    """Masks of findings in images, one entry a pair of image and finding.

    Attributes:
        rows, columns: [P] row of the image and column of the finding.
        masks: bool [P, FRAME, FRAME]; each has a pixel.
    """

    rows: np.ndarray
    columns: np.ndarray
    masks: np.ndarray


def box_mask(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """The union of boxes as a mask: every pixel whose centre lies in one of them.

    Args:
        boxes: [n, 4] of x, y (the upper left corner), width and height in pixels, as NIH's BBox_List_2017.csv has them.
        height, width: of the image that they were drawn in.

    Returns:
        bool [height, width].
    """
    x, y, across, down = np.asarray(boxes, dtype=np.float64).reshape(-1, 4, 1).transpose(1, 0, 2)
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    inside_rows = (rows >= y) & (rows < y + down)
    inside_columns = (columns >= x) & (columns < x + across)
    return np.any(inside_rows[:, :, None] & inside_columns[:, None, :], axis=0)


def box_lesions(boxes: pd.DataFrame) -> pd.DataFrame:
    """Boxes as a table of places: image, finding, mask (PNG).

    The boxes that one reader drew of a finding in an image are united. Of several readers who marked a finding in an
    image, what half of them have marked is its place, or, where no pixel is, what any of them has.

    Args:
        boxes: image, finding, reader, and x, y, w, h in pixels of the original image of size width, height.
    """
    rows = [(*pair, encode_mask(_agreed(part))) for pair, part in boxes.groupby(["image", "finding"])]
    return pd.DataFrame(rows, columns=["image", "finding", "mask"])


def _agreed(boxes: pd.DataFrame) -> np.ndarray:
    """bool [H, W] of one finding in one image, in the original's shape, with BOX_FRAME pixels on the longer side."""
    width, height = boxes[["width", "height"]].iloc[0]
    scale = BOX_FRAME / max(width, height)
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    masks = [box_mask(part[["x", "y", "w", "h"]].to_numpy() * scale, *shape) for _, part in boxes.groupby("reader")]
    votes = np.sum(masks, axis=0)
    agreed = 2 * votes >= len(masks)
    return agreed if agreed.any() else votes > 0


def encode_mask(mask: np.ndarray) -> bytes:
    """bool [H, W] as PNG, 8 bit, 255 inside: how tables of places keep masks."""
    done, buffer = cv2.imencode(".png", mask.astype(np.uint8) * 255)
    assert done
    return buffer.tobytes()


def decode_mask(png: bytes) -> np.ndarray:
    """bool [H, W] of a mask kept as PNG."""
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)) > 0


def in_frame(mask: np.ndarray, resize: str) -> np.ndarray:
    """A mask of the image file as the network's square shows it.

    Args:
        mask: bool [H, W] at the size of the file, or of the same shape at another scale.
        resize: `pad` or `crop`, as the picture was resized.

    Returns:
        bool [FRAME, FRAME]: pixels that the mask covers by half at least; if it covers none so far (it is tiny), those
        that it covers most. All False if it was cropped away.
    """
    covered = resize_square(mask.astype(np.uint8) * 255, FRAME, resize)
    return (covered > 0) & (covered >= min(128, covered.max()))


def read_lesions(path: str | Path) -> pd.DataFrame:
    """A table of places: image, finding, mask (PNG); empty if there is no such file, as for most data sets."""
    if Path(path).exists():
        return read_parquet(path, ["image", "finding", "mask"], only=True)
    return pd.DataFrame({"image": [], "finding": [], "mask": []}, dtype=object)


def each_place(
    lesions: pd.DataFrame, names: Sequence[str], labels: np.ndarray, findings: Sequence[str], resize: str
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Row, column and mask in the frame of every positive with a place; one that was cropped away has none.

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
    """All of `each_place`, ordered by finding, then image."""
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
    """How often a finding covers each place of the frame: [C, FRAME, FRAME] in 0..1; 0 for one without a mask."""
    total = np.zeros((len(findings), FRAME, FRAME), dtype=np.float32)
    count = np.zeros((len(findings), 1, 1), dtype=np.float32)
    for _, column, mask in each_place(lesions, names, labels, findings, resize):
        total[column] += mask
        count[column] += 1
    return total / np.maximum(count, 1)
