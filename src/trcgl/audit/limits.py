"""Distances between real images, from which the limits for the distances of synthetic images are derived."""

from dataclasses import dataclass

import numpy as np

from trcgl.audit.copies import overlays
from trcgl.audit.neighbours import nearest_distances, same_patient
from trcgl.audit.overlaid import Space, feature_distances, overlaid_pairs
from trcgl.audit.real_images import RealImages
from trcgl.config import AuditParams
from trcgl.numerics.seeding import rng
from trcgl.runtime.logging import get_logger

log = get_logger("audit")
NEIGHBOURS = 5
"""The distance to the fifth nearest training image counts, so that a single similar image by chance is not enough."""
FEWEST = 20
"""With fewer distances, a high percentile is the largest of a few, and a limit would be chance."""
REAL_SAMPLE = 1000
"""Number of real images that are compared with all others to set a limit; enough for a percentile."""


@dataclass(frozen=True)
class Limits:
    """Limits of distances. A limit is NaN (nothing is below or above it) if there are not enough real images to set it.

    Attributes:
        pixels: limit of the pixel distance. An image below both this limit and `features` is a duplicate.
        features: limit of the distance in the frozen features.
        neighbour: limit of the distance to training image number NEIGHBOURS, in the judge's features. A sample above it
            is unlike any real image.
    """

    pixels: float
    features: float
    neighbour: float


def real_limits(train: RealImages, val: RealImages, space: Space, params: AuditParams) -> Limits:
    """Percentiles of the distances between real images of different patients.

    The limits for duplicates are measured among training images: each is overlaid on the one that it most resembles.
    The limit for outliers is measured from validation to training images. The reason: the judge was fitted to its
    training images, so any new image, real or synthetic, is farther from them than they are from each other.

    Args:
        train, val: training and validation images.
        space: the frozen feature space.
    """
    patients, thumbnails = train.patients, train.measured.thumbnails
    some = rng("audit limits", "training").permutation(len(train))[:REAL_SAMPLE]
    pixels, pairs = [], []
    barred = same_patient(patients[some], patients)
    for row, found in zip(some, overlays(thumbnails[some], thumbnails, barred), strict=True):
        if found:
            pixels.append(found[0].distance)
            pairs.append(overlaid_pairs(train.pixels[np.array([row])][0], train.pixels, found[:1]))
    features = feature_distances(np.concatenate(pairs), space) if pairs else np.empty(0)
    if min(len(val), len(train)) < FEWEST:
        log.warning(
            "%d training and %d validation images: below %d, there is no limit for copies and twins (training) or for "
            "outliers (validation), and none is rejected", len(train), len(val), FEWEST,
        )  # fmt: skip
    others = rng("audit limits", "validation").permutation(len(val))[:REAL_SAMPLE]
    barred = same_patient(val.patients[others], patients)
    far = nearest_distances(val.measured.features[others], train.measured.features, NEIGHBOURS, barred)
    return Limits(
        pixels=_percentile(np.array(pixels), params.duplicate_percentile),
        features=_percentile(features, params.duplicate_feature_percentile),
        neighbour=_percentile(far[:, -1], params.outlier_percentile),
    )


def _percentile(distances: np.ndarray, percentile: float) -> float:
    known = distances[np.isfinite(distances)]
    return float(np.percentile(known, percentile)) if len(known) >= FEWEST else float("nan")
