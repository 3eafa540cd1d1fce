"""Metrics per finding and their means. AP, AUC and F1 of a finding without a positive (or negative) are NaN.

Unknown labels (NaN) are left out, finding by finding. Everything is float64; AP and AUC are scikit-learn's.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from sklearn.metrics import average_precision_score, roc_auc_score

from trcgl.runtime.logging import get_logger

log = get_logger("metrics")

GROUPS = ("head", "medium", "tail")
FIXED_THRESHOLD = 0.2
"""Threshold of the paper's F1, which is reported in addition to F1 at tuned thresholds."""
ECE_BINS = 15
"""Number of equal-width bins of the calibration error, as in Guo et al."""
LEAST_EFFECTIVE, NEAR_ENOUGH = 0.05, 0.1
"""Least effective share of weighted images; largest relative error of a prevalence that is not worth a line."""


def average_precision(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """AP of one finding; NaN without a positive or without a negative.

    Args:
        labels: [N] of 1, 0 or NaN.
        scores: [N].
        weights: [N] of the images, such as `prevalence_weights`; None: all alike.
    """
    known, labels, scores, weights = _known(labels, scores, weights)
    return float(average_precision_score(labels, scores, sample_weight=weights)) if known else float("nan")


def mean_average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean AP over the findings that have one; labels [N, C] of 1, 0 or NaN, scores [N, C]. NaN if none has."""
    return nan_mean(pd.Series([average_precision(y, p) for y, p in zip(labels.T, scores.T, strict=True)]))


def area_under_roc(labels: np.ndarray, scores: np.ndarray) -> float:
    """ROC AUC of one finding; NaN without a positive or without a negative."""
    known, labels, scores, _ = _known(labels, scores)
    return float(roc_auc_score(labels, scores)) if known else float("nan")


def f1_at(labels: np.ndarray, scores: np.ndarray, threshold: float) -> float:
    """F1 of `score >= threshold`; NaN without a positive or without a negative."""
    known, labels, scores, _ = _known(labels, scores)
    if not known:
        return float("nan")
    # Equals scikit-learn's F1 to the last bit; scikit-learn takes a hundred times as long to validate its arguments
    positive = scores >= threshold
    return float(2 * (labels[positive] == 1).sum() / (labels.sum() + positive.sum()))


def brier_score(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean squared error of the probability of one finding; arguments as for `average_precision`."""
    known, labels, scores, weights = _known(labels, scores, weights)
    return float(np.average((scores - labels) ** 2, weights=weights)) if known else float("nan")


def expected_calibration_error(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None, bins: int = ECE_BINS
) -> float:
    """ECE of one finding in equal-width bins; arguments as for `average_precision`.

    sum over bins of (weight in bin / total weight) * |weighted mean label - weighted mean probability|
    (Guo et al., 2017, arXiv 1706.04599, eq. 3).
    """
    known, labels, scores, weights = _known(labels, scores, weights)
    if not known:
        return float("nan")
    weights = np.ones_like(scores) if weights is None else weights
    place = np.minimum((scores * bins).astype(int), bins - 1)
    gap = np.bincount(place, weights * (labels - scores), minlength=bins)
    return float(np.abs(gap).sum() / weights.sum())


def prevalence_weights(labels: np.ndarray, prevalence: Sequence[float]) -> np.ndarray:
    """Weights of images by which all findings together are as frequent as stated.

    A test set that is enriched in one rare finding also holds more of what comes with it, and one that is enriched in
    several holds each beside the others. Weights of one finding alone would leave its negatives enriched. These are the
    weights of empirical likelihood (Owen, 1988, https://doi.org/10.1093/biomet/75.2.237): one divided by a sum over the
    image's findings. They are the right ones for images that were drawn as they come, with more added per finding.

    Args:
        labels: [N, C] of 1, 0 or NaN. An unknown label moves no weight.
        prevalence: [C]. A finding without a known positive or a known negative, or whose prevalence is not between 0
            and 1, is left as it is.

    Returns:
        float64 [N], above 0, of mean 1. A set of a few images may have no weights with all these prevalences: then it
        gets those that come near, and a log line says so. While nearly all weight would lie on a few images, one more
        finding keeps its own prevalence, the one that pulls most, and a log line says so.
    """
    share = np.asarray(prevalence, np.float64)
    used = (labels == 1).any(axis=0) & (labels == 0).any(axis=0) & (share > 0) & (share < 1)
    labels, share = labels[:, used], share[used]
    if not used.any():
        return np.ones(len(labels))
    weight, multipliers = _likelihood_weights(labels, share)
    own = np.zeros(len(share), bool)
    while 1 / np.square(weight).mean() < LEAST_EFFECTIVE and not own.all():
        worst = np.where(own, -1, np.abs(multipliers)).argmax()
        own[worst], share[worst] = True, np.nanmean(labels[:, worst])
        weight, multipliers = _likelihood_weights(labels, share)
    if own.any():
        log.warning(
            "%d images cannot be weighted to the training prevalences of %d of %d findings: these keep their own",
            len(labels), own.sum(), len(own),
        )  # fmt: skip
    known = ~np.isnan(labels)
    reached = (np.where(known, labels, 0) * weight[:, None]).sum(axis=0) / (known * weight[:, None]).sum(axis=0)
    if (missed := np.abs(reached / share - 1) > NEAR_ENOUGH).any():
        log.warning(
            "%d images, weighted to the training prevalences, still miss that of %d of %d findings by over %.0f %%",
            len(labels), missed.sum(), len(own), 100 * NEAR_ENOUGH,
        )  # fmt: skip
    return weight


def _likelihood_weights(labels: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weights of empirical likelihood by which the findings have the wanted shares, or come near.

    Args:
        labels: [N, C] of 1, 0 or NaN, with both of each finding.
        share: [C], between 0 and 1.

    Returns:
        float64 [N], of mean 1, and the multiplier of each finding, [C].
    """
    distance = np.where(np.isnan(labels), 0, labels - share) / np.sqrt(share * (1 - share))
    images, least = len(labels), 1 / len(labels)

    def inverse(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the log is taken of, and how far (0 to 1 and more) it is below `least`, where a parabola replaces it."""
        sums = 1 + distance @ at
        return np.maximum(sums, least), np.maximum(1 - sums / least, 0)

    def weights(at: np.ndarray) -> np.ndarray:
        sums, below = inverse(at)
        return (1 + below) / sums

    def value(at: np.ndarray) -> float:
        sums, below = inverse(at)
        return float((below + below**2 / 2 - np.log(sums)).mean())

    def gradient(at: np.ndarray) -> np.ndarray:
        return -distance.T @ weights(at) / images

    def hessian(at: np.ndarray) -> np.ndarray:
        return (distance / inverse(at)[0][:, None] ** 2).T @ distance / images

    start = np.zeros(len(share))
    found = minimize(
        value, start, jac=gradient, hess=hessian, method="trust-exact", options={"gtol": 1e-10, "maxiter": 50}
    )
    weight = weights(found.x)
    return weight / weight.mean(), found.x


def per_class_table(
    labels: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[str],
    groups: Sequence[str],
    thresholds: Sequence[float],
    weights: np.ndarray,
) -> pd.DataFrame:
    """One row per finding.

    Args:
        labels: [N, C] of 1, 0 or NaN.
        scores: [N, C] probabilities.
        classes, groups, thresholds: per finding; thresholds tuned on validation data.
        weights: [N] of the images at the training prevalence; see `prevalence_weights`.

    Returns:
        Columns class, group, positives, AP, AUC, F1 (at the finding's threshold), threshold, F1_fixed, and, with the
        weights, ECE, Brier and AP_prevalence.
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
                "ECE": expected_calibration_error(y, p, weights),
                "Brier": brier_score(y, p, weights),
                "AP_prevalence": average_precision(y, p, weights),
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


def has_both(labels: np.ndarray) -> bool:
    """Whether labels of 1, 0 and NaN have both a 1 and a 0; without, a finding cannot be scored."""
    known = labels[~np.isnan(labels)]
    return bool(0 < known.sum() < len(known))


def nan_mean(values: "pd.Series[float]") -> float:
    """Mean of the values that are not NaN; NaN if all are."""
    return float(values.mean(skipna=True)) if values.notna().any() else float("nan")


def _known(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None
) -> tuple[bool, np.ndarray, np.ndarray, np.ndarray | None]:
    """Whether both 1 and 0 occur among the known labels; then known labels and their scores and weights in float64."""
    known = ~np.isnan(labels)
    labels = labels[known].astype(np.float64)
    scores = scores[known].astype(np.float64)
    both = bool(len(labels)) and 0 < labels.sum() < len(labels)
    return both, labels, scores, None if weights is None else weights[known]
