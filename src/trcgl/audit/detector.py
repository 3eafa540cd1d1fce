"""A second opinion on the samples, by a detector that was trained on other data than the judge. It decides nothing."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.artifacts.pixels import ChangedPixels, Pixels, resized
from trcgl.audit.measured import measure
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.predict import predict
from trcgl.metrics import area_under_roc
from trcgl.runtime.errors import InputError

SEEN_PERCENTILE = 25.0
"""Percentile of the scores of real validation positives. A sample above it scores higher than a quarter of them."""


def load_detector(folder: str, findings: list[str]) -> Classifier:
    """The detector in `folder`.

    Raises:
        InputError: no such folder, no saved classifier in it, or it knows none of the findings.
    """
    if not Path(folder).is_dir():
        raise InputError(f"'audit.detector': no folder '{folder}'; give the folder of a saved classifier, or null")
    detector = Classifier.load(folder)
    if not set(findings) & set(detector.config.class_names):
        raise InputError(
            f"'audit.detector': '{folder}' knows none of the findings, such as '{findings[0]}'; set it to null"
        )
    return detector


def _at_its_size(detector: Classifier, images: Pixels) -> Pixels:
    return ChangedPixels(images, partial(resized, size=detector.config.image_size))


def detector_features(detector: Classifier, images: Pixels) -> np.ndarray:
    """The input features of the detector's head, for images of any size: float32 [N, F]."""
    return measure(detector, _at_its_size(detector, images)).features


def scores_by_finding(detector: Classifier, images: Pixels) -> pd.DataFrame:
    """The detector's probabilities for images of any size: one column per finding."""
    scores = predict(detector, _at_its_size(detector, images))
    return pd.DataFrame(scores, columns=list(detector.config.class_names))


def second_opinion(
    finding: str, real: pd.DataFrame, labels: np.ndarray, drawn: pd.DataFrame, accepted: np.ndarray
) -> dict[str, float]:
    """The detector's results on the samples that were generated for one finding.

    Args:
        real: scores of the validation images, from `scores_by_finding`.
        labels: [N] of 1, 0 or NaN: whether the validation images have the finding.
        drawn: scores of the finding's samples.
        accepted: bool [M].

    Returns:
        detector_auc_real: AUC of validation images with the finding against those without it. detector_auc_drawn and
        detector_auc_accepted: AUC of samples against validation images without the finding. detector_seen_drawn,
        detector_seen_accepted and detector_seen_rejected: fraction of these samples above SEEN_PERCENTILE % of the
        validation positives. NaN if the detector does not know the finding, or if one of the two groups is empty.
    """
    parts = {"drawn": np.ones(len(accepted), dtype=bool), "accepted": accepted, "rejected": ~accepted}
    auc, seen = dict.fromkeys(("real", "drawn", "accepted"), float("nan")), dict.fromkeys(parts, float("nan"))
    if finding in real:
        score, sample = real[finding].to_numpy(), drawn[finding].to_numpy()
        without, with_it = score[labels == 0], score[labels == 1]
        auc["real"] = area_under_roc(labels, score)
        for name in ("drawn", "accepted"):
            part = sample[parts[name]]
            auc[name] = area_under_roc(
                np.repeat([1.0, 0.0], [len(part), len(without)]), np.concatenate([part, without])
            )
        for name, part in parts.items():
            if len(with_it) and part.any():
                seen[name] = float((sample[part] > np.percentile(with_it, SEEN_PERCENTILE)).mean())
    return {f"detector_auc_{name}": value for name, value in auc.items()} | {
        f"detector_seen_{name}": value for name, value in seen.items()
    }


def detector_columns(
    detector: Classifier, validation: Pixels, labels: pd.DataFrame, drawn: Pixels, verdicts: pd.DataFrame,
    findings: Sequence[str],
) -> pd.DataFrame:  # fmt: skip
    """`second_opinion` for each finding: one row per finding, in the order of `findings`.

    Args:
        labels: of the validation images; one float column per finding.
        drawn: the samples, in the order of `verdicts`.
    """
    real, scores = scores_by_finding(detector, validation), scores_by_finding(detector, drawn)
    rows = []
    for finding in findings:
        own = (verdicts["target"] == finding).to_numpy()
        accepted = verdicts["accepted"].to_numpy(dtype=bool)[own]
        rows.append(second_opinion(finding, real, labels[finding].to_numpy(), scores[own], accepted))
    return pd.DataFrame(rows)
