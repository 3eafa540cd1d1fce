"""The synthetic images that are judged, with the judge's scores and features."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.artifacts.pixels import Pixels, stored_and_resized
from trcgl.audit.judge import judge_scores
from trcgl.audit.measured import Measured, measure
from trcgl.classifier.network.model import Classifier
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_parquet


@dataclass(frozen=True)
class DrawnImages:
    """All samples of a folder.

    Attributes:
        samples: sample, target, carrier, source, findings, unknown.
        pixels: at the size that the judge reads, read from disk when needed; this and the following are in the order of
            `samples`.
        scores: float32 [N, C], the judge's scores.
        measured: features and thumbnails.
    """

    samples: pd.DataFrame
    pixels: Pixels
    scores: np.ndarray
    measured: Measured

    def __len__(self) -> int:
        return len(self.samples)


def load_drawn_images(folder: Path, judge: Classifier) -> DrawnImages:
    """Read and measure the samples.

    Args:
        folder: shards with samples.parquet; it may be empty.

    Raises:
        InputError: a sample names a finding that the judge does not know.
    """
    samples = read_parquet(folder / "samples.parquet", ["sample", "target", "carrier", "source", "findings", "unknown"])
    lists = [*samples["findings"], *samples["unknown"]]
    foreign = {*samples["target"], *(name for named in lists for name in named)} - set(judge.config.class_names)
    if foreign:
        raise InputError(
            f"{folder}/samples.parquet: names '{min(foreign)}', which the judge (the baseline classifier) does not "
            "know; run dvc repro"
        )
    pixels = stored_and_resized(folder, samples["sample"].tolist(), judge.config.image_size)
    return DrawnImages(samples, pixels, judge_scores(judge, pixels), measure(judge, pixels))
