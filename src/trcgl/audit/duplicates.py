"""Is an image a duplicate of another: near in pixels, and near in a feature space that no training run changes?

Chests resemble each other in pixels, and different images may show the same to a network; a duplicate is near in both.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trcgl.artifacts.pixels import Pixels
from trcgl.audit.copies import overlays
from trcgl.audit.limits import Limits
from trcgl.audit.neighbours import Barred
from trcgl.audit.overlaid import Space, feature_distances, overlaid_pairs


@dataclass(frozen=True)
class Closest:
    """The reference that an image is closest to being a duplicate of.

    Attributes:
        reference: its position; -1 where there is none to compare with.
        pixels: distance in pixels, inf without a reference.
        features: distance in features; NaN where no reference is near in pixels, so that it does not matter.
        duplicate: near in both.
    """

    reference: int = -1
    pixels: float = float("inf")
    features: float = float("nan")
    duplicate: bool = False


def closest(
    candidates: Pixels, thumbnails: np.ndarray, references: Pixels, reference_thumbnails: np.ndarray, barred: Barred,
    limits: Limits, space: Space,
) -> Iterator[Closest]:  # fmt: skip
    """For each candidate in turn: of the references near in pixels the one nearest in features, else in pixels.

    Args:
        candidates, references: uint8 [N, S, S] and [M, S, S].
        thumbnails, reference_thumbnails: of these, uint8 [N, THUMBNAIL, THUMBNAIL] and [M, THUMBNAIL, THUMBNAIL].
        barred: asked just before each candidate.
    """
    for row, found in enumerate(overlays(thumbnails, reference_thumbnails, barred)):
        near = [overlay for overlay in found if overlay.distance < limits.pixels]
        if not near:
            yield Closest(found[0].reference, found[0].distance) if found else Closest()
            continue
        distances = feature_distances(overlaid_pairs(candidates[np.array([row])][0], references, near), space)
        best, distance = near[int(np.argmin(distances))], float(distances.min())
        yield Closest(best.reference, best.distance, distance, distance < limits.features)
