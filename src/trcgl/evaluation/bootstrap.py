"""Intervals by resampling patients, not images: images of one patient are not independent evidence.

Two models are compared on the same resamples (paired), which removes the variance common to both.
"""

from dataclasses import dataclass

import numpy as np

from trcgl.numerics.seeding import rng

SEED = 0
"""Seed of the resamples, which do not depend on any training."""
DIFFERENCES = (-1.0, 1.0)
"""The bounds of a difference between two values from 0 to 1."""
ROUNDING = 1e-9
"""Resamples of one and the same value differ by less."""


@dataclass(frozen=True)
class Interval:
    """Lower and upper bound for a statistic."""

    low: float
    high: float


def patient_weights(patients: np.ndarray, samples: int, seed: int = SEED) -> np.ndarray:
    """How often each image counts in each resample of the patients with replacement.

    Args:
        patients: [N] patient of each image.
        samples: number of resamples B.

    Returns:
        int32 [B, N]. All entries are 0 if there is only one patient: every resample would be the same, and an interval
        of width 0 would claim certainty. With zeros the interval is undefined.
    """
    _, patient = np.unique(patients, return_inverse=True)
    count = int(patient.max()) + 1
    generator = rng("bootstrap", seed)
    weights = np.zeros((samples, len(patient)), np.int32)
    if count == 1:
        return weights
    for row in weights:
        row[:] = np.bincount(generator.integers(0, count, size=count), minlength=count)[patient]
    return weights


def image_weights(patients: np.ndarray, samples: int, seed: int = SEED) -> np.ndarray:
    """int32 [1 + B, N]: a first row of ones (all images once, no resampling), then the rows of `patient_weights`."""
    return np.vstack([np.ones(len(patients), np.int32), patient_weights(patients, samples, seed)])


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """[C, B] -> [B]: mean over the findings that have a value; NaN where none has."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0.0).sum(axis=0) / np.where(defined.any(axis=0), defined.sum(axis=0), np.nan)


def bootstrap_interval(values: np.ndarray, bounds: tuple[float, float] = (0.0, 1.0)) -> Interval:
    """95 % interval of a statistic: the percentiles of its resamples, moved by the bias of the resamples.

    Resamples hold copies of images, whose equal scores raise the AP of rare findings. Without the move, the interval of
    a mean over forty findings of eight positives each covers the truth in 0.70 of draws, and may not even contain the
    value itself; with it, in 0.96. The bias is the mean of the resamples less the value (Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 10).

    Args:
        values: [1 + B]: the value without resampling, then those of the resamples; NaN where undefined.
        bounds: the least and the largest value that the statistic can have.

    Returns:
        Contains the value. NaN if the value or every resample is undefined, or if all resamples say the same (where all
        of a few positives rank first, or all that counts is one patient's): width 0 would claim certainty.
    """
    value, samples = float(values[0]), values[1:][~np.isnan(values[1:])]
    if np.isnan(value) or not len(samples) or np.abs(samples - value).max() < ROUNDING:
        return Interval(float("nan"), float("nan"))
    low, high = np.clip(np.quantile(samples, (0.025, 0.975)) - samples.mean() + value, *bounds).tolist()
    return Interval(min(low, value), max(high, value))


def paired_interval(ours: np.ndarray, other: np.ndarray) -> Interval:
    """95 % interval of the difference of two models' values, ours less the other.

    Args:
        ours, other: [1 + B] each, values from 0 to 1, of the same resamples. A resample in which one is undefined is
            left out.

    Returns:
        NaN if one of the models has no interval of its own. Of width 0 if both are the same in every resample.
    """
    undefined = any(np.isnan(bootstrap_interval(values).low) for values in (ours, other))
    if not undefined and (ours == other)[~np.isnan(ours)].all():
        return Interval(0.0, 0.0)
    return bootstrap_interval(np.full(1, np.nan) if undefined else ours - other, DIFFERENCES)
