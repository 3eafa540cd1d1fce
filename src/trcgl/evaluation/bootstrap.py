"""Intervals by resampling patients, not images: images of one patient are not independent evidence.

Two models are compared on the same resamples (paired), which removes the variance that they share.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

import numpy as np

from trcgl.numerics.seeding import rng
from trcgl.runtime.logging import get_logger

log = get_logger("evaluate")

SEED = 0
"""Of the resamples: they depend on nothing that is trained."""
BLOCK = 1 << 22
"""Numbers of each array that a curve takes: 32 MB."""

Statistic = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """A percentile interval of a statistic over the resamples."""

    low: float
    high: float


def patient_weights(patients: np.ndarray, samples: int, seed: int = SEED) -> np.ndarray:
    """How often each image counts in each resample of the patients with replacement.

    Args:
        patients: [N] patient of each image.
        samples: number of resamples B.

    Returns:
        int32 [B, N]; all 0 of a single patient, who is the same in every resample: an interval of no width would claim
        certainty, one of nothing is undefined.
    """
    _, patient = np.unique(patients, return_inverse=True)
    count = int(patient.max()) + 1
    generator = rng("bootstrap", seed)
    weights = np.zeros((samples, len(patient)), np.int32)
    if count == 1:
        log.warning("no intervals: they need patients to resample, and there is one")
        return weights
    for row in weights:
        row[:] = np.bincount(generator.integers(0, count, size=count), minlength=count)[patient]
    return weights


def image_weights(patients: np.ndarray, samples: int, seed: int = SEED) -> np.ndarray:
    """`patient_weights` below a first row of ones, the images as they are: int32 [1 + B, N]."""
    return np.vstack([np.ones(len(patients), np.int32), patient_weights(patients, samples, seed)])


def _block_by_block(statistic: Statistic) -> Statistic:
    """The same for few resamples at a time: the curves of all of them would be several copies of B x N numbers."""

    @wraps(statistic)
    def blocks(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        rows = max(1, BLOCK // max(1, len(labels)))
        return np.concatenate(
            [statistic(labels, scores, weights[start : start + rows]) for start in range(0, len(weights), rows)]
        )

    return blocks


@_block_by_block
def weighted_average_precision(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AP of one finding under many image weightings at once; equal to scikit-learn's with `sample_weight`.

    Args:
        labels: [N] of 1, 0 or NaN (left out).
        scores: [N].
        weights: [B, N], not negative.

    Returns:
        float64 [B]; NaN where a resample has no positive or no negative.
    """
    hits, seen = ranking(labels, scores, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(seen > 0, hits / seen, 0.0)
        ap = (precision * np.diff(hits, axis=1, prepend=0.0)).sum(axis=1) / hits[:, -1]
    return np.where(_both_occur(hits, seen), ap, np.nan)


@_block_by_block
def weighted_area_under_roc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """ROC AUC of one finding under many image weightings at once; arguments and result as of the AP above."""
    hits, seen = ranking(labels, scores, weights)
    false = seen - hits
    height = hits - np.diff(hits, axis=1, prepend=0.0) / 2  # trapezium: half a tie's positives count against it
    with np.errstate(invalid="ignore", divide="ignore"):
        area = (np.diff(false, axis=1, prepend=0.0) * height).sum(axis=1) / (hits[:, -1] * false[:, -1])
    return np.where(_both_occur(hits, seen), area, np.nan)


def ranking(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight of the positives and of all images down to each distinct score, from the highest.

    Tied scores form one step of the curves, as in scikit-learn. Unknown labels are left out; without a known one there
    is one step, of nothing.

    Args:
        labels: [N] of 1, 0 or NaN.
        scores: [N].
        weights: [B, N], not negative.

    Returns:
        hits, seen: float64 [B, K], K distinct scores.
    """
    known = ~np.isnan(labels)
    labels, scores, weights = labels[known], scores[known], weights[:, known].astype(np.float64)
    if not len(labels):
        return np.zeros((len(weights), 1)), np.zeros((len(weights), 1))
    order = np.argsort(-scores, kind="stable")
    ranked, weights = scores[order], weights[:, order]
    last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
    hits = np.cumsum(weights * (labels[order] == 1), axis=1)[:, last_of_tie]
    return hits, np.cumsum(weights, axis=1)[:, last_of_tie]


def _both_occur(hits: np.ndarray, seen: np.ndarray) -> np.ndarray:
    return (hits[:, -1] > 0) & (hits[:, -1] < seen[:, -1])


def ap_samples(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AP of every finding: labels and scores [N, C], weights [B, N] -> [C, B]."""
    return np.stack([weighted_average_precision(y, p, weights) for y, p in zip(labels.T, scores.T, strict=True)])


def auc_samples(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """ROC AUC of every finding, as `ap_samples`."""
    return np.stack([weighted_area_under_roc(y, p, weights) for y, p in zip(labels.T, scores.T, strict=True)])


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """[C, B] -> [B]: mean over the findings that have a value; NaN where none has."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0.0).sum(axis=0) / np.where(defined.any(axis=0), defined.sum(axis=0), np.nan)


def percentile_interval(samples: np.ndarray, level: float = 0.95) -> Interval:
    """Percentile interval of the resamples that are defined; NaN if none is."""
    samples = samples[~np.isnan(samples)]
    if not len(samples):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(samples, ((1 - level) / 2, (1 + level) / 2))
    return Interval(float(low), float(high))
