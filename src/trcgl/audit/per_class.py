"""One row per finding: what was drawn and accepted, and how like real images of the finding the samples are."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from trcgl.artifacts.pixels import Pixels
from trcgl.audit.detector import scores_by_finding, second_opinion
from trcgl.audit.diversity import mean_similarity
from trcgl.audit.drawn_images import DrawnImages
from trcgl.audit.fidelity import kernel_distance, precision_recall
from trcgl.audit.real_images import RealImages
from trcgl.audit.verdicts import REASONS
from trcgl.classifier.network.model import Classifier


def per_class_table(
    findings: Sequence[str], drawn: DrawnImages, real: RealImages, tests: pd.DataFrame, verdicts: pd.DataFrame
) -> pd.DataFrame:
    """One row per finding, in their order.

    Args:
        tests: from `finding_tests`.
        verdicts: from `judge_samples`, in the order of the samples.

    Returns:
        finding, the counts of `verdict_counts`, judge_auc, judge_decides, and the columns of `set_likeness`.
    """
    rows = []
    for finding in findings:
        own = np.flatnonzero(drawn.samples["target"] == finding)
        shown = real.labels[finding].to_numpy() == 1
        train, val = (rows_of[shown[rows_of]] for rows_of in (real.split("train"), real.split("val")))
        likeness = set_likeness(
            real.measured.features[train],
            real.pixels[train],
            real.rows["patient"].to_numpy(dtype=object)[train],
            real.measured.features[val],
            drawn.measured.features[own],
            drawn.pixels[own],
        )
        rows.append(
            {
                "finding": finding,
                **verdict_counts(verdicts.iloc[own]),
                "judge_auc": tests.at[finding, "auc"],
                "judge_decides": tests.at[finding, "decides"],
                **likeness,
            }
        )
    return pd.DataFrame(rows)


def verdict_counts(part: pd.DataFrame) -> dict[str, int]:
    """drawn, accepted, flagged (accepted with a flag), rejected_<reason> by the decisive reason: they add up."""
    return {
        "drawn": len(part),
        "accepted": int(part["accepted"].sum()),
        "flagged": int((part["accepted"] & (part["flag"] != "")).sum()),
        **{f"rejected_{name}": int((part["reason"] == reason).sum()) for name, reason in REASONS.items()},
    }


def set_likeness(
    real_features: np.ndarray, real_images: np.ndarray, patients: np.ndarray, unseen_features: np.ndarray,
    features: np.ndarray, images: np.ndarray,
) -> dict[str, float]:  # fmt: skip
    """Fidelity and diversity of the drawn samples of one finding beside its real training images.

    Args:
        real_features, features: [N, F] and [M, F] of the judge.
        real_images, images: uint8 [N, S, S] and [M, S, S].
        patients: [N] of the real images.
        unseen_features: [K, F] of real validation images with the finding, for comparison.
    """
    precision, recall = precision_recall(real_features, features)
    return {
        "real_images": len(real_images),
        "kid": kernel_distance(real_features, features),
        "kid_real": kernel_distance(real_features, unseen_features),
        "precision": precision,
        "recall": recall,
        "ms_ssim": mean_similarity(images, np.arange(len(images))),
        "ms_ssim_real": mean_similarity(real_images, patients),
    }


def detector_columns(
    detector: Classifier, validation: Pixels, labels: pd.DataFrame, drawn: Pixels, verdicts: pd.DataFrame,
    findings: Sequence[str],
) -> pd.DataFrame:  # fmt: skip
    """`second_opinion` on each finding: one row per finding, in their order.

    Args:
        labels: of the validation images, float columns by finding.
        drawn: the samples, in the order of `verdicts`.
    """
    real, scores = scores_by_finding(detector, validation), scores_by_finding(detector, drawn)
    rows = []
    for finding in findings:
        own = (verdicts["target"] == finding).to_numpy()
        accepted = verdicts["accepted"].to_numpy(dtype=bool)[own]
        rows.append(second_opinion(finding, real, labels[finding].to_numpy(), scores[own], accepted))
    return pd.DataFrame(rows)
