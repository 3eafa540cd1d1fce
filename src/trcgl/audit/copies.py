"""Find copies of an image by its pixels, even if they are flipped, cropped, noisy or of other brightness or contrast.

Correlation ignores brightness and contrast, and a slight blur reduces noise. Both orientations are tried. The centre of
the candidate is compared with the reference at all scales and positions that a crop can have. Chest images are all
similar, so with a misalignment of one pixel a copy is no nearer than an unrelated image. Therefore there are two steps:
all references are ranked on tiny images with a grid of crops (matrix products), and the best ones are then compared
precisely (template matching).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np

from trcgl.audit.measured import THUMBNAIL
from trcgl.audit.neighbours import Barred, unit_vectors

LARGEST_CROP = 0.1
"""Largest fraction of the side that a cropped copy may have lost."""
COARSE = 16
"""Side in pixels of the tiny images that are used to rank the references."""
COARSE_BLUR = 1.5
"""Standard deviation in thumbnail pixels, before shrinking."""
COARSE_STEP = 0.03
"""Step between the tried positions, as a fraction of the side. At 0.05, the shortlist missed one crop in ten."""
SHORTLIST = 16
"""Number of references that are compared precisely. For artificial crops, the original was among the first 8."""
FINE_BLUR = 1.0
"""Standard deviation in thumbnail pixels."""
EDGE = 3
"""Thumbnail pixels cut off each edge of the candidate, so that its centre can be shifted over the reference."""
MARGIN = EDGE / THUMBNAIL
CHUNK = 32
"""Candidates that are processed at once, with some 90 views of each."""
BLOCK = 8192
"""References that are processed at once."""


def _crop_windows() -> list[tuple[float, float, float]]:
    """Windows of a cropped copy that show the centre of the original: (side, left, top) as fractions of the side."""
    centre = 1 - 2 * LARGEST_CROP
    windows = []
    for kept in (1.0, 1 - LARGEST_CROP / 2, 1 - LARGEST_CROP):
        low, high = (LARGEST_CROP - (1 - kept)) / kept, LARGEST_CROP / kept
        if kept == 1:
            low, high = low - COARSE_STEP, high + COARSE_STEP
        places = np.linspace(low, high, int(np.ceil((high - low) / COARSE_STEP - 1e-6)) + 1)
        windows += [(centre / kept, left, top) for left, top in product(places, places)]
    return windows


WINDOWS = _crop_windows()
CENTRE = [(1 - 2 * LARGEST_CROP, LARGEST_CROP, LARGEST_CROP)]
SIZES = range(round((1 - LARGEST_CROP) * (THUMBNAIL - 2 * EDGE)), THUMBNAIL - 2 * EDGE + 1)
"""Sides in pixels to which the candidate's centre is resized before it is compared with the reference."""


@dataclass(frozen=True)
class Overlay:
    """The best alignment of an image's centre (without EDGE / THUMBNAIL of the side at each edge) with another image.

    Attributes:
        reference: position of the other image.
        distance: 1 - correlation of the overlapping pixels, 0..1 (1: unlike, or blank).
        mirrored: whether left and right are exchanged.
        side, left, top: the square of the other image that is covered, as fractions of its side.
    """

    reference: int
    distance: float
    mirrored: bool
    side: float
    left: float
    top: float


def overlays(candidates: np.ndarray, references: np.ndarray, barred: Barred) -> Iterator[list[Overlay]]:
    """For each candidate in turn, its overlays on the references that it most probably copies, nearest first.

    Args:
        candidates: uint8 [N, THUMBNAIL, THUMBNAIL].
        references: uint8 [M, THUMBNAIL, THUMBNAIL].
        barred: called just before each candidate, so that it may depend on the results of earlier candidates.

    Yields:
        SHORTLIST overlays, or fewer if the candidate may be compared with fewer references.
    """
    centres = np.concatenate([np.empty((0, COARSE**2), np.float32), *(_views(image, CENTRE) for image in references)])
    for start in range(0, len(candidates), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(candidates)))
        for row, likeness in zip(rows, _coarse_likeness(candidates[rows], centres), strict=True):
            likeness[barred(np.array([row]))[0]] = -np.inf
            shortlist = np.argsort(-likeness, kind="stable")[:SHORTLIST]
            places = shortlist[np.isfinite(likeness[shortlist])]
            templates = _templates(candidates[row])
            found = [_overlay(templates, references[place], int(place)) for place in places]
            yield sorted(found, key=lambda overlay: overlay.distance)


def _coarse_likeness(candidates: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Best correlation over all crops and both orientations: float32 [n, M]."""
    flipped = candidates[:, :, ::-1]
    views = np.stack([_views(image, WINDOWS) for pair in zip(candidates, flipped, strict=True) for image in pair])
    count, (_, _, size) = len(candidates), views.shape
    views = views.reshape(-1, size)
    likeness = np.empty((count, len(centres)), dtype=np.float32)
    for start in range(0, len(centres), BLOCK):
        block = views @ centres[start : start + BLOCK].T
        likeness[:, start : start + BLOCK] = block.reshape(count, -1, block.shape[1]).max(axis=1)
    return likeness


def _views(image: np.ndarray, windows: list[tuple[float, float, float]]) -> np.ndarray:
    """Downsampled windows of an image as unit vectors, whose dot product is a correlation.

    Returns:
        float32 [windows, COARSE ** 2].
    """
    soft = cv2.GaussianBlur(np.ascontiguousarray(image, dtype=np.float32), (0, 0), COARSE_BLUR)
    views = np.empty((len(windows), COARSE**2), dtype=np.float32)
    for view, (side, left, top) in zip(views, windows, strict=True):
        step = side * THUMBNAIL / COARSE
        # Maps the centre of a coarse pixel to the centre of the area that it shows
        shift = [share * THUMBNAIL + (step - 1) / 2 for share in (left, top)]
        matrix = np.array([[step, 0, shift[0]], [0, step, shift[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        view[:] = cv2.warpAffine(soft, matrix, (COARSE, COARSE), flags=flags, borderMode=cv2.BORDER_REPLICATE).ravel()
    return unit_vectors(views - views.mean(axis=1, keepdims=True))


def _templates(candidate: np.ndarray) -> list[tuple[bool, int, np.ndarray]]:
    """The candidate's centre in all orientations and sizes that are compared: mirrored, size, float32 [size, size].

    Empty for a blank picture, which template matching would find equal to everything.
    """
    centre = cv2.GaussianBlur(candidate.astype(np.float32), (0, 0), FINE_BLUR)[EDGE:-EDGE, EDGE:-EDGE]
    if np.ptp(centre) == 0:
        return []
    sides = {False: centre, True: np.ascontiguousarray(centre[:, ::-1])}
    return [
        (mirrored, size, cv2.resize(sides[mirrored], (size, size), interpolation=cv2.INTER_AREA))
        for mirrored, size in product((False, True), SIZES)
    ]


def _overlay(templates: list[tuple[bool, int, np.ndarray]], reference: np.ndarray, place: int) -> Overlay:
    """The best alignment of a candidate's centre with the reference, which has position `place`."""
    under = cv2.GaussianBlur(reference.astype(np.float32), (0, 0), FINE_BLUR)
    best = Overlay(place, 1.0, mirrored=False, side=1 - 2 * MARGIN, left=MARGIN, top=MARGIN)
    for mirrored, size, over in templates:
        _, likeness, _, (left, top) = cv2.minMaxLoc(cv2.matchTemplate(under, over, cv2.TM_CCOEFF_NORMED))
        if 1 - likeness < best.distance:
            shares = (value / THUMBNAIL for value in (size, left, top))
            best = Overlay(place, 1 - likeness, mirrored, *shares)
    return best
