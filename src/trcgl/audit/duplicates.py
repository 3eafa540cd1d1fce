"""Find duplicates: images that are near to another in pixels and also in a frozen feature space.

Different chest images may be similar in pixels, and different images may have similar features. A duplicate is near in
both.
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
    """The reference that is most probably the original of an image.

    Attributes:
        reference: its position; -1 if there is no reference to compare with.
        pixels: distance in pixels; inf without a reference.
        features: distance in features; NaN if no reference is near in pixels (then it is not computed).
        duplicate: whether the reference is near in pixels and in features.
    """

    reference: int = -1
    pixels: float = float("inf")
    features: float = float("nan")
    duplicate: bool = False


def closest(
    candidates: Pixels, thumbnails: np.ndarray, references: Pixels, reference_thumbnails: np.ndarray, barred: Barred,
    limits: Limits, space: Space,
) -> Iterator[Closest]:  # fmt: skip
    """For each candidate in turn, its closest reference.

    If there are references near in pixels, it is the one of these that is nearest in features; otherwise it is the one
    nearest in pixels.

    Args:
        candidates, references: uint8 [N, S, S] and [M, S, S].
        thumbnails, reference_thumbnails: their thumbnails, uint8 [N, THUMBNAIL, THUMBNAIL] and [M, THUMBNAIL,
            THUMBNAIL].
        barred: called just before each candidate.
    """
    for row, found in enumerate(overlays(thumbnails, reference_thumbnails, barred)):
        near = [overlay for overlay in found if overlay.distance < limits.pixels]
        if not near:
            yield Closest(found[0].reference, found[0].distance) if found else Closest()
            continue
        distances = feature_distances(overlaid_pairs(candidates[np.array([row])][0], references, near), space)
        best, distance = near[int(np.argmin(distances))], float(distances.min())
        yield Closest(best.reference, best.distance, distance, distance < limits.features)
