"""How near and how far real images are to each other: what a synthetic image's distances are held against."""

from dataclasses import dataclass

import numpy as np

from trcgl.audit.copies import overlays
from trcgl.audit.neighbours import nearest_distances, same_patient
from trcgl.audit.overlaid import Space, feature_distances, overlaid_pairs
from trcgl.audit.real_images import RealImages
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
        pixels: nearer than that to another image in pixels, and
        features: nearer than that in the frozen features: a duplicate.
        neighbour: a nearest training image farther than that in the judge's features: unlike any real image.
    """

    pixels: float
    features: float
    neighbour: float


def real_limits(train: RealImages, val: RealImages, space: Space, params: AuditParams) -> Limits:
    """Percentiles of the distances between real images of different patients.

    What is near is measured among training images: each is laid over the one that it looks most like a copy of. What is
    far is measured from validation to training images: the judge has fitted its training images, and an image new to it
    lies farther from them, be it real or synthetic.

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
    return float(np.percentile(known, percentile)) if len(known) else float("nan")
