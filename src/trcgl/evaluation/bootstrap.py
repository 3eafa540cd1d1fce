"""Intervals by resampling patients, not images: images of one patient are not independent evidence.

Two models are compared on the same resamples (paired), which removes the variance common to both.
"""

from dataclasses import dataclass

import numpy as np

from trcgl.numerics.seeding import rng
from trcgl.runtime.logging import get_logger

log = get_logger("evaluate")

SEED = 0
"""Seed of the resamples, which do not depend on any training."""


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
        int32 [B, N]. All entries are 0 if there is only one patient: every resample would be the same, and an interval
        of width 0 would claim certainty. With zeros the interval is undefined.
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
    """int32 [1 + B, N]: a first row of ones (all images once, no resampling), then the rows of `patient_weights`."""
    return np.vstack([np.ones(len(patients), np.int32), patient_weights(patients, samples, seed)])


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """[C, B] -> [B]: mean over the findings that have a value; NaN where none has."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0.0).sum(axis=0) / np.where(defined.any(axis=0), defined.sum(axis=0), np.nan)


def percentile_interval(samples: np.ndarray) -> Interval:
    """95 % percentile interval of the resamples that are defined; NaN if none is."""
    samples = samples[~np.isnan(samples)]
    if not len(samples):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(samples, (0.025, 0.975))
    return Interval(float(low), float(high))
