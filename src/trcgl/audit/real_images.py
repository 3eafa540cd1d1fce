"""The real images that samples are compared with, and what the judge sees in them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.artifacts.labelled_images import labelled_images
from trcgl.artifacts.pixels import Pixels, StoredPixels
from trcgl.artifacts.shards import ShardedImages
from trcgl.audit.finding_tests import finding_tests
from trcgl.audit.limits import Limits, real_limits
from trcgl.audit.measured import Measured, measure
from trcgl.classifier.network.model import Classifier
from trcgl.config import AuditParams
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_parquet


@dataclass(frozen=True)
class RealImages:
    """All real images with pixels.

    Attributes:
        rows: image, patient, split.
        labels: float columns of 1, 0 or NaN by the judge's findings, in the order of `rows`, as all that follows.
        pixels: from disk.
        measured: what the judge sees.
    """

    rows: pd.DataFrame
    labels: pd.DataFrame
    pixels: Pixels
    measured: Measured

    def split(self, name: str) -> np.ndarray:
        """Positions of a split's images."""
        return np.flatnonzero(self.rows["split"] == name)

    def limits(self, params: AuditParams) -> Limits:
        train, val = self.split("train"), self.split("val")
        patients = self.rows["patient"].to_numpy(dtype=object)
        return real_limits(self.measured.of(train), self.measured.of(val), patients[train], patients[val], params)

    def tests(self, params: AuditParams) -> pd.DataFrame:
        val = self.split("val")
        return finding_tests(self.measured.scores[val], self.labels.iloc[val], params)


def load_real_images(images: Path, labels: Path, judge: Classifier) -> RealImages:
    """Read and measure the real images.

    Args:
        images: shards at the size the judge reads.
        labels: labels.parquet; a labelled image without pixels is left out and reported.

    Raises:
        InputError: a finding of the judge is not a column of the labels, or no training image has pixels.
    """
    shards, findings = ShardedImages(images), list(judge.config.class_names)
    real = labelled_images(
        read_parquet(labels, ["image", "patient", "split"]), findings, shards.index["image"],
        file=labels, named_by="the judge knows; train it on these labels",
    )  # fmt: skip
    if not len(real.split("train")):
        raise InputError(f"{labels}: no training image has pixels in {images}")
    pixels = StoredPixels(shards, real.names, np.empty((0, shards.size, shards.size), np.uint8))
    return RealImages(
        rows=real.rows[["image", "patient", "split"]],
        labels=pd.DataFrame(real.targets, columns=findings),
        pixels=pixels,
        measured=measure(judge, pixels),
    )


def no_real_images(judge: Classifier) -> RealImages:
    """What samples are compared with where there are none: on a large data set measuring takes minutes."""
    findings, size = list(judge.config.class_names), judge.config.image_size
    pixels = np.empty((0, size, size), np.uint8)
    return RealImages(
        rows=pd.DataFrame(columns=["image", "patient", "split"], dtype="str"),
        labels=pd.DataFrame(columns=findings, dtype="float32"),
        pixels=pixels,
        measured=measure(judge, pixels),
    )
