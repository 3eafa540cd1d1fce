"""The real images that samples are compared with, and their data for the audit."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.artifacts.labelled_images import labelled_images
from trcgl.artifacts.pixels import Pixels, StoredPixels
from trcgl.artifacts.shards import ShardedImages
from trcgl.audit.measured import Measured, measure
from trcgl.classifier.network.model import Classifier
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_parquet


@dataclass(frozen=True)
class RealImages:
    """The images of a split that have pixels.

    Attributes:
        names, patients: [N] of strings.
        labels: one float column (1, 0 or NaN) per finding of the judge; this and the following are in order of `names`.
        pixels: read from disk when needed.
        measured: features and thumbnails.
    """

    names: np.ndarray
    patients: np.ndarray
    labels: pd.DataFrame
    pixels: Pixels
    measured: Measured

    def __len__(self) -> int:
        return len(self.names)

    def with_finding(self, finding: str) -> np.ndarray:
        """Positions of the images that have a finding."""
        return np.flatnonzero(self.labels[finding] == 1)


def load_real_images(images: Path, labels: Path, judge: Classifier, split: str) -> RealImages:
    """Read and measure the images of a split.

    Args:
        images: shards at the size that the judge reads.
        labels: labels.parquet; a labelled image without pixels is left out and reported.

    Raises:
        InputError: a finding of the judge is not a column of the labels, or no training image has pixels.
    """
    shards, findings = ShardedImages(images), list(judge.config.class_names)
    real = labelled_images(
        read_parquet(labels, ["image", "patient", "split"]), findings, shards.index["image"], [split],
        file=labels, named_by="the judge knows; run dvc repro, which trains it on these labels",
    )  # fmt: skip
    if split == "train" and not len(real):
        raise InputError(f"no training image is in {images}; the reasons are in {images.parent / 'unreadable.parquet'}")
    pixels = StoredPixels(shards, real.names)
    return RealImages(
        names=real.rows["image"].to_numpy(dtype=object),
        patients=real.rows["patient"].to_numpy(dtype=object),
        labels=pd.DataFrame(real.targets, columns=findings),
        pixels=pixels,
        measured=measure(judge, pixels),
    )


def no_real_images(judge: Classifier) -> RealImages:
    """An empty set, for the case without samples: measuring real images takes minutes on a large data set."""
    findings, size = list(judge.config.class_names), judge.config.image_size
    pixels, nobody = np.empty((0, size, size), np.uint8), np.empty(0, dtype=object)
    return RealImages(nobody, nobody, pd.DataFrame(columns=findings, dtype="float32"), pixels, measure(judge, pixels))
