"""Intervals by resampling patients, not images: images of one patient are no independent evidence.

Two models are compared on the same resamples (paired), which removes the variance that they share.
"""

from dataclasses import dataclass

import numpy as np

from trcgl.runtime.seeding import rng


@dataclass(frozen=True)
class Interval:
    """A percentile interval of a statistic over the resamples."""

    low: float
    high: float


def patient_weights(patients: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """How often each image counts in each resample of the patients with replacement.

    Args:
        patients: [N] patient of each image.
        samples: number of resamples B.

    Returns:
        int [B, N].
    """
    _, patient = np.unique(patients, return_inverse=True)
    count = int(patient.max()) + 1
    generator = rng("bootstrap", seed)
    drawn = generator.integers(0, count, size=(samples, count))
    offsets = np.arange(samples)[:, None] * count
    times = np.bincount((drawn + offsets).ravel(), minlength=samples * count).reshape(samples, count)
    return times[:, patient]


def weighted_average_precision(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AP of one finding under many image weightings at once; equal to scikit-learn's with `sample_weight`.

    Args:
        labels: [N] of 1, 0 or NaN (left out).
        scores: [N].
        weights: [B, N], not negative.

    Returns:
        float64 [B]; NaN where a resample has no positive or no negative.
    """
    known = ~np.isnan(labels)
    labels, scores, weights = labels[known], scores[known], weights[:, known].astype(np.float64)
    if not len(labels):
        return np.full(len(weights), np.nan)
    order = np.argsort(-scores, kind="stable")
    ranked, weights = scores[order], weights[:, order]
    positive = weights * (labels[order] == 1)
    # Tied scores form one step of the precision-recall curve, as in scikit-learn
    last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
    hits = np.cumsum(positive, axis=1)[:, last_of_tie]
    seen = np.cumsum(weights, axis=1)[:, last_of_tie]
    total = hits[:, -1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(seen > 0, hits / seen, 0.0)
        gained = np.diff(hits, axis=1, prepend=0.0)
        ap = (precision * gained).sum(axis=1) / total[:, 0]
    ap[(total[:, 0] <= 0) | (total[:, 0] >= seen[:, -1])] = np.nan
    return ap


def mean_ap_samples(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Mean AP over the chosen findings in every resample.

    Args:
        labels, scores: [N, C].
        weights: [B, N] from `patient_weights`.
        classes: indices or mask of the findings to average.

    Returns:
        [B]; NaN where no chosen finding has an AP.
    """
    chosen = np.arange(labels.shape[1])[classes]
    if not len(chosen):
        return np.full(len(weights), np.nan)
    ap = np.stack([weighted_average_precision(labels[:, c], scores[:, c], weights) for c in chosen])
    defined = ~np.isnan(ap)
    with np.errstate(invalid="ignore"):
        return np.where(defined, ap, 0.0).sum(axis=0) / np.where(defined.any(axis=0), defined.sum(axis=0), np.nan)


def percentile_interval(samples: np.ndarray, level: float = 0.95) -> Interval:
    """Percentile interval of the resamples that are defined; NaN if none is."""
    samples = samples[~np.isnan(samples)]
    if not len(samples):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(samples, ((1 - level) / 2, (1 + level) / 2))
    return Interval(float(low), float(high))
