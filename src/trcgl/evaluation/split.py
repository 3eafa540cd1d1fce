"""The real images of one split, with their labels and metadata."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.artifacts.labelled_images import labelled_images
from trcgl.artifacts.pixels import Pixels, StoredPixels
from trcgl.artifacts.shards import ShardedImages
from trcgl.evaluation.subgroups import SUBGROUPS
from trcgl.runtime.errors import InputError


@dataclass(frozen=True)
class EvaluationSet:
    """Real images that were not used for training or for choosing anything.

    Attributes:
        names: N image names.
        patients: [N] patient ids; they stay in memory and are never written to an output.
        images: uint8 [N, S, S], on disk.
        labels: float32 [N, C] of 1, 0 or NaN (unknown), findings in the order of `classes`.
        classes: from classes.json: name, group, prevalence in the training rows.
        about: [N] rows of metadata of each image, for results by subgroup; see subgroups.py.
    """

    names: list[str]
    patients: np.ndarray
    images: Pixels
    labels: np.ndarray
    classes: pd.DataFrame
    about: pd.DataFrame


def load_split(split: str, labels: pd.DataFrame, classes: list[dict[str, object]], images: Path) -> EvaluationSet:
    """Load the rows of one split whose images are cached.

    Raises:
        InputError: the split has no cached image, or a class is not a column of the labels.
    """
    stored, listed = ShardedImages(images), pd.DataFrame(classes)
    real = labelled_images(labels, listed["name"].tolist(), stored.index["image"], (split,))
    if not len(real):
        raise InputError(
            f"no image of the '{split}' split is in {images}; the reasons are in {images.parent / 'unreadable.parquet'}"
        )
    return EvaluationSet(
        names=real.names,
        patients=real.rows["patient"].to_numpy(),
        images=StoredPixels(stored, real.names),
        labels=real.targets,
        classes=listed,
        about=real.rows[[name for name in SUBGROUPS if name in real.rows]],
    )
