"""Metrics per finding and their means. AP, AUC and F1 of a finding without a positive (or negative) are NaN.

Unknown labels (NaN) are left out, finding by finding. Everything is float64; AP and AUC are scikit-learn's.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

GROUPS = ("head", "medium", "tail")
FIXED_THRESHOLD = 0.2
"""Threshold of the paper's F1, which is reported in addition to F1 at tuned thresholds."""
ECE_BINS = 15
"""Number of equal-width bins of the calibration error, as in Guo et al."""


def average_precision(labels: np.ndarray, scores: np.ndarray, prevalence: float | None = None) -> float:
    """AP of one finding; NaN without a positive or without a negative.

    Args:
        labels: [N] of 1, 0 or NaN.
        scores: [N].
        prevalence: AP is weighted back to this share of positives (see `prevalence_weights`); None: that of the labels.
    """
    known, labels, scores = _known(labels, scores)
    if not known:
        return float("nan")
    weights = None if prevalence is None else prevalence_weights(labels, prevalence)
    return float(average_precision_score(labels, scores, sample_weight=weights))


def mean_average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean AP over the findings that have one; labels [N, C] of 1, 0 or NaN, scores [N, C]. NaN if none has."""
    return nan_mean(pd.Series([average_precision(y, p) for y, p in zip(labels.T, scores.T, strict=True)]))


def area_under_roc(labels: np.ndarray, scores: np.ndarray) -> float:
    """ROC AUC of one finding; NaN without a positive or without a negative."""
    known, labels, scores = _known(labels, scores)
    return float(roc_auc_score(labels, scores)) if known else float("nan")


def f1_at(labels: np.ndarray, scores: np.ndarray, threshold: float) -> float:
    """F1 of `score >= threshold`; NaN without a positive or without a negative."""
    known, labels, scores = _known(labels, scores)
    if not known:
        return float("nan")
    # Equals scikit-learn's F1 to the last bit; scikit-learn takes a hundred times as long to validate its arguments
    positive = scores >= threshold
    return float(2 * (labels[positive] == 1).sum() / (labels.sum() + positive.sum()))


def brier_score(labels: np.ndarray, scores: np.ndarray, prevalence: float) -> float:
    """Mean squared error of the probability, weighted back to `prevalence` (see `prevalence_weights`)."""
    known, labels, scores = _known(labels, scores)
    if not known:
        return float("nan")
    return float(np.average((scores - labels) ** 2, weights=prevalence_weights(labels, prevalence)))


def expected_calibration_error(
    labels: np.ndarray, scores: np.ndarray, prevalence: float, bins: int = ECE_BINS
) -> float:
    """ECE of one finding in equal-width bins, weighted back to `prevalence`.

    sum over bins of (weight in bin / total weight) * |weighted mean label - weighted mean probability|
    (Guo et al., 2017, arXiv 1706.04599, eq. 3). The test set is enriched in rare findings; with the weights, the result
    holds for the prevalence at which the model will be used.
    """
    known, labels, scores = _known(labels, scores)
    if not known:
        return float("nan")
    weights = prevalence_weights(labels, prevalence)
    place = np.minimum((scores * bins).astype(int), bins - 1)
    gap = np.bincount(place, weights * (labels - scores), minlength=bins)
    return float(np.abs(gap).sum() / weights.sum())


def prevalence_weights(labels: np.ndarray, prevalence: float) -> np.ndarray:
    """Weights that give known labels [N] the share `prevalence` of positives."""
    share = labels.mean()
    return np.where(labels == 1, prevalence / share, (1 - prevalence) / (1 - share))


def per_class_table(
    labels: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[str],
    groups: Sequence[str],
    thresholds: Sequence[float],
    prevalence: Sequence[float],
) -> pd.DataFrame:
    """One row per finding.

    Args:
        labels: [N, C] of 1, 0 or NaN.
        scores: [N, C] probabilities.
        classes, groups, thresholds, prevalence: per finding; thresholds tuned on validation data, prevalence in the
            training set.

    Returns:
        Columns class, group, positives, AP, AUC, F1 (at the finding's threshold), threshold, F1_fixed, and, weighted
        back to the prevalence, ECE, Brier and AP_prevalence.
    """
    rows = []
    for c, name in enumerate(classes):
        y, p = labels[:, c], scores[:, c]
        rows.append(
            {
                "class": name,
                "group": groups[c],
                "positives": int(np.nansum(y)),
                "AP": average_precision(y, p),
                "AUC": area_under_roc(y, p),
                "F1": f1_at(y, p, thresholds[c]),
                "threshold": thresholds[c],
                "F1_fixed": f1_at(y, p, FIXED_THRESHOLD),
                "ECE": expected_calibration_error(y, p, prevalence[c]),
                "Brier": brier_score(y, p, prevalence[c]),
                "AP_prevalence": average_precision(y, p, prevalence[c]),
            }
        )
    return pd.DataFrame(rows)


def summary(table: pd.DataFrame) -> dict[str, float]:
    """Means over the findings that have a value; this is the block of one model in metrics/metrics.json."""
    return group_means(table) | {
        "mAUC": nan_mean(table["AUC"]),
        "mF1": nan_mean(table["F1"]),
        "ECE": nan_mean(table["ECE"]),
    }


def group_means(table: pd.DataFrame) -> dict[str, float]:
    """mAP, head_mAP, medium_mAP and tail_mAP of a table with the columns group and AP."""
    means = {f"{group}_mAP": nan_mean(table.loc[table["group"] == group, "AP"]) for group in GROUPS}
    return {"mAP": nan_mean(table["AP"])} | means


def tail_map_at_prevalence(table: pd.DataFrame) -> float:
    """Mean AP_prevalence of the tail findings in a table of `per_class_table`."""
    return nan_mean(table.loc[table["group"] == "tail", "AP_prevalence"])


def nan_mean(values: "pd.Series[float]") -> float:
    """Mean of the values that are not NaN; NaN if all are."""
    return float(values.mean(skipna=True)) if values.notna().any() else float("nan")


def _known(labels: np.ndarray, scores: np.ndarray) -> tuple[bool, np.ndarray, np.ndarray]:
    """Whether both 1 and 0 occur among the known labels; then known labels and their scores in float64."""
    known = ~np.isnan(labels)
    labels = labels[known].astype(np.float64)
    scores = scores[known].astype(np.float64)
    return bool(len(labels)) and 0 < labels.sum() < len(labels), labels, scores
