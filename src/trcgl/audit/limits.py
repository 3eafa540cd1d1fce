"""How near and how far real images are to each other: what a synthetic image's distances are held against."""

from dataclasses import dataclass

import numpy as np

from trcgl.audit.copies import nearest_copies
from trcgl.audit.measured import Measured
from trcgl.audit.neighbours import nearest_features, same_patient
from trcgl.config import AuditParams
from trcgl.numerics.seeding import rng

NEIGHBOURS = 5
"""The fifth nearest training image counts: one chance resemblance does not vouch for a sample."""
REAL_SAMPLE = 1000
"""Real images that set a limit, compared with all: a percentile needs no more."""


@dataclass(frozen=True)
class Limits:
    """Distances; NaN, which nothing is below or above, where real images cannot set one.

    Attributes:
        pixels: nearer than that to another image in pixels: a copy.
        features: likewise in the judge's features.
        neighbour: a nearest training image farther than that: unlike any real image.
    """

    pixels: float
    features: float
    neighbour: float

    def near(self, pixel_distance: np.ndarray, feature_distance: np.ndarray) -> np.ndarray:
        """Which images are copies: bool, in the shape of the distances to the nearest image."""
        return (pixel_distance < self.pixels) | (feature_distance < self.features)


def real_limits(
    training: Measured, validation: Measured, training_patients: np.ndarray, validation_patients: np.ndarray,
    params: AuditParams,
) -> Limits:  # fmt: skip
    """Percentiles of the distances between real images of different patients.

    What is near is measured among training images. What is far is measured from validation to training images: the
    judge has fitted its training images, and an image new to it lies farther from them, be it real or synthetic.

    Args:
        training_patients, validation_patients: whose each image is.
    """
    part = rng("audit limits", "training").permutation(len(training))[:REAL_SAMPLE]
    some, barred = training.of(part), same_patient(training_patients[part], training_patients)
    pixels, _ = nearest_copies(some.thumbnails, training.thumbnails, barred)
    features, _ = nearest_features(some.features, training.features, 1, barred)
    part = rng("audit limits", "validation").permutation(len(validation))[:REAL_SAMPLE]
    barred = same_patient(validation_patients[part], training_patients)
    neighbours, _ = nearest_features(validation.of(part).features, training.features, NEIGHBOURS, barred)
    return Limits(
        pixels=_percentile(pixels, params.duplicate_percentile),
        features=_percentile(features[:, 0], params.duplicate_percentile),
        neighbour=_percentile(neighbours[:, -1], params.outlier_percentile),
    )


def _percentile(distances: np.ndarray, percentile: float) -> float:
    known = distances[np.isfinite(distances)]
    return float(np.percentile(known, percentile)) if len(known) else float("nan")
