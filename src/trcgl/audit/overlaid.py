"""Align two images before their features are compared: undo crop, mirroring, and changes of brightness and contrast.

Without this, the features of a cropped or mirrored copy are as far from its original's as those of an unrelated image.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from trcgl.artifacts.pixels import Pixels
from trcgl.audit.copies import MARGIN, Overlay
from trcgl.audit.neighbours import unit_vectors

Space = Callable[[Pixels], np.ndarray]
"""uint8 [N, S, S] -> features float32 [N, F]."""


def overlaid(candidate: np.ndarray, reference: np.ndarray, how: Overlay) -> np.ndarray:
    """The candidate's centre, and the part of the reference that it covers.

    Args:
        candidate, reference: uint8 [S, S].
        how: the alignment of the candidate with the reference.

    Returns:
        uint8 [2, S, S]; the first image gets the mean and the standard deviation of the second.
    """
    centre = _square(candidate[:, ::-1] if how.mirrored else candidate, 1 - 2 * MARGIN, MARGIN, MARGIN)
    window = _square(reference, how.side, how.left, how.top)
    scale = window.std() / max(float(centre.std()), 1e-6)
    centre = (centre - centre.mean()) * scale + window.mean()
    return np.stack([centre, window]).round().clip(0, 255).astype(np.uint8)


def overlaid_pairs(candidate: np.ndarray, references: Pixels, how: Sequence[Overlay]) -> np.ndarray:
    """`overlaid` for one candidate (uint8 [S, S]) and each of its overlays: uint8 [len(how), 2, S, S]."""
    below = references[np.array([overlay.reference for overlay in how])]
    return np.stack([overlaid(candidate, reference, overlay) for reference, overlay in zip(below, how, strict=True)])


def feature_distances(pairs: np.ndarray, space: Space) -> np.ndarray:
    """1 - cosine between the features of the two pictures of each pair: uint8 [N, 2, S, S] -> float64 [N], 0..2."""
    features = unit_vectors(space(pairs.reshape(-1, *pairs.shape[2:])).astype(np.float64))
    return 1 - (features[::2] * features[1::2]).sum(axis=1)


def _square(image: np.ndarray, side: float, left: float, top: float) -> np.ndarray:
    """A square part of an image (position and side as fractions), resized to the image's size: float64 [S, S]."""
    size = len(image)
    x, y, width = (round(share * size) for share in (left, top, side))
    part = np.ascontiguousarray(image[y : y + width, x : x + width])
    return cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR).astype(np.float64)
