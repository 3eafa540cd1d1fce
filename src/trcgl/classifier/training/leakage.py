"""The last look before training: no patient, and no picture under another patient's name, in two splits."""

from pathlib import Path

import cv2
import numpy as np

from trcgl.artifacts.shards import ShardedImages
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_parquet

SIDE = 32
"""Pixels of the thumbnails that are compared."""
BLUR = 2.0
"""Standard deviation in their pixels; what is broader is taken off, because all chests share it."""
ALIKE = 0.985
"""Correlation of a picture and its copy. Measured: copies scaled by 7/8, compressed (JPEG, quality 60) and of other
contrast 0.984 or more (median 0.994 on real X-rays, 0.997 on phantoms); other patients 0.895 at most among 1,670 real
X-rays, 0.975 among 2,973 phantoms."""
BLOCK = 4096
SHOWN = 3


def stop_if_leaking(labels: str | Path, images: str | Path) -> None:
    """Check a label table and the cached images of its rows.

    Raises:
        InputError: a patient is in two splits, or an image nearly equals one of another split.
    """
    frame = read_parquet(labels, ["image", "patient", "split"], only=True)
    splits = frame.groupby("patient")["split"].nunique()
    if (splits > 1).any():
        raise InputError(
            f"{labels}: patient '{splits.idxmax()}' is in several splits (so are {int((splits > 1).sum()) - 1} more); "
            "run parse_labels again"
        )
    shards = ShardedImages(images)
    frame = frame[[image in shards for image in frame["image"]]]
    pairs = near_copies(shards, frame["image"].tolist(), frame["split"].to_numpy())
    if pairs:
        shown = "; ".join(f"{one} and {other}" for one, other in pairs[:SHOWN])
        raise InputError(
            f"{images}: {len(pairs)} images nearly equal one in another split ({shown}); leave one of each pair out of "
            "the label table, or put both patients into one split with 'dataset.split_file'"
        )


def near_copies(shards: ShardedImages, names: list[str], splits: np.ndarray) -> list[tuple[str, str]]:
    """Every image of the validation or test split that is a near copy of one of another split, with that one."""
    thumbnails = np.concatenate(
        [_thumbnails(shards.read(names[start : start + BLOCK])) for start in range(0, len(names), BLOCK)]
        or [np.empty((0, SIDE * SIDE), np.float32)]
    )
    pairs = []
    # Numbers: whole blocks of texts are compared a hundred times slower
    split_codes = np.unique(splits, return_inverse=True)[1].astype(np.int8)
    asked = np.flatnonzero(splits != "train")
    for places in np.array_split(asked, max(1, len(asked) // BLOCK)):
        best, where = np.full(len(places), -1.0, np.float32), np.zeros(len(places), np.int64)
        for start in range(0, len(names), BLOCK):
            block = slice(start, start + BLOCK)
            alike = thumbnails[places] @ thumbnails[block].T
            alike[split_codes[places][:, None] == split_codes[block]] = -1.0
            nearest = alike.argmax(axis=1)
            value = alike[np.arange(len(places)), nearest]
            better = value > best
            best[better], where[better] = value[better], start + nearest[better]
        pairs += [(names[i], names[j]) for i, j, value in zip(places, where, best, strict=True) if value >= ALIKE]
    return pairs


def _thumbnails(images: np.ndarray) -> np.ndarray:
    """uint8 [n, S, S] -> float32 [n, SIDE * SIDE], without the broad shades, of mean 0 and length 1."""
    small = np.stack([cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for image in images])
    small = small.astype(np.float32)
    fine = np.stack([image - cv2.GaussianBlur(image, (0, 0), BLUR) for image in small]).reshape(len(small), -1)
    fine -= fine.mean(axis=1, keepdims=True)
    return fine / np.maximum(np.linalg.norm(fine, axis=1, keepdims=True), 1e-6)
