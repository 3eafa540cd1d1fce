"""A second opinion that decides nothing: a detector trained on other data than the judge looks at the samples."""

from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.artifacts.pixels import Pixels, resized
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.predict import predict
from trcgl.metrics import area_under_roc
from trcgl.runtime.errors import InputError

SEEN_PERCENTILE = 5.0
"""Of real validation positives: a sample that scores above it looks like all but the faintest of them."""


def load_detector(folder: str, findings: list[str]) -> Classifier:
    """The detector in `folder`.

    Raises:
        InputError: no such folder, no saved classifier in it, or it knows none of the findings.
    """
    if not Path(folder).is_dir():
        raise InputError(f"audit.detector: no folder '{folder}'; give the folder of a saved classifier, or null")
    detector = Classifier.load(folder)
    if not set(findings) & set(detector.config.class_names):
        raise InputError(f"audit.detector: '{folder}' knows none of the findings, such as '{findings[0]}'; give null")
    return detector


def scores_by_finding(detector: Classifier, images: Pixels) -> pd.DataFrame:
    """The detector's probabilities at the size it reads: one column a finding."""

    class AtItsSize:
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
            return resized(images[rows], detector.config.image_size)

    return pd.DataFrame(predict(detector, AtItsSize()), columns=list(detector.config.class_names))


def second_opinion(
    finding: str, real: pd.DataFrame, labels: np.ndarray, drawn: pd.DataFrame, accepted: np.ndarray
) -> dict[str, float]:
    """What the detector says of the samples drawn for one finding.

    Args:
        real: scores of the validation images, from `scores_by_finding`.
        labels: [N] of 1, 0 or NaN: whether the validation images have the finding.
        drawn: scores of the finding's samples.
        accepted: bool [M].

    Returns:
        detector_auc_real: validation images with the finding against those without; detector_auc_drawn and
        detector_auc_accepted: samples against validation images without; detector_seen: share of the drawn samples
        above SEEN_PERCENTILE % of the validation positives. NaN for a finding that the detector does not know, or
        with an empty side.
    """
    names = ("detector_auc_real", "detector_auc_drawn", "detector_auc_accepted", "detector_seen")
    if finding not in real:
        return dict.fromkeys(names, float("nan"))
    score, sample = real[finding].to_numpy(), drawn[finding].to_numpy()
    without, with_it = score[labels == 0], score[labels == 1]
    seen = sample > np.percentile(with_it, SEEN_PERCENTILE) if len(with_it) and len(sample) else np.array([np.nan])
    values = (
        area_under_roc(labels, score),
        *(
            area_under_roc(np.repeat([1.0, 0.0], [len(part), len(without)]), np.concatenate([part, without]))
            for part in (sample, sample[accepted])
        ),
        float(seen.mean()),
    )
    return dict(zip(names, values, strict=True))
