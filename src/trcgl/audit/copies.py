"""Is an image a copy of another by its pixels, also when flipped, cropped, noisy, brighter or of other contrast?

Correlation forgives brightness and contrast, a little blur forgives noise, both orientations are tried, and the
candidate's centre is laid over the reference at all scales and places that a crop can have. Chests resemble each other,
so a pixel of misplacement already looks like a stranger; hence two steps: all references are ranked on tiny pictures
under a grid of crops (matrix products), and the best are compared finely (template matching).
"""

from itertools import product

import cv2
import numpy as np

from trcgl.audit.measured import THUMBNAIL
from trcgl.audit.neighbours import Barred, unit_vectors

LARGEST_CROP = 0.1
"""Share of the side that a copy may have lost."""
COARSE = 16
"""Side in pixels of the pictures that rank the references."""
COARSE_BLUR = 1.5
"""Standard deviation in thumbnail pixels, before shrinking."""
COARSE_STEP = 0.03
"""Between tried places, as a share of the side: at 0.05 one crop in ten was not among the shortlisted."""
SHORTLIST = 16
"""References compared finely; on planted crops the original was among the first 8."""
FINE_BLUR = 1.0
"""Standard deviation in thumbnail pixels."""
EDGE = 3
"""Thumbnail pixels cut off the candidate, so that its centre may move over the reference."""
CHUNK = 32
"""Candidates at once: some 90 views of each."""
BLOCK = 8192
"""References at once."""


def _crop_windows() -> list[tuple[float, float, float]]:
    """Windows (side, left, top; shares) of a cropped copy that show the centre of the original."""
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
"""Sides in pixels of the candidate's centre, laid over the reference."""


def nearest_copies(candidates: np.ndarray, references: np.ndarray, barred: Barred) -> tuple[np.ndarray, np.ndarray]:
    """The reference that each candidate looks most like a copy of.

    Args:
        candidates: uint8 [N, THUMBNAIL, THUMBNAIL].
        references: uint8 [M, THUMBNAIL, THUMBNAIL].

    Returns:
        distance float64 [N] (1 - best correlation of the overlaid pixels, 0..2) and index int64 [N]; inf and -1
        where nothing may be compared.
    """
    distance = np.full(len(candidates), np.inf)
    index = np.full(len(candidates), -1, dtype=np.int64)
    if not len(references):
        return distance, index
    centres = np.concatenate([_views(image, CENTRE) for image in references])
    for start in range(0, len(candidates), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(candidates)))
        likeness = _coarse_likeness(candidates[rows], centres)
        likeness[barred(rows)] = -np.inf
        shortlist = np.argsort(-likeness, axis=1, kind="stable")[:, :SHORTLIST]
        for row, places, values in zip(rows, shortlist, np.take_along_axis(likeness, shortlist, 1), strict=True):
            places = places[np.isfinite(values)]
            if len(places):
                fine = [_fine_distance(candidates[row], references[place]) for place in places]
                distance[row], index[row] = min(fine), places[int(np.argmin(fine))]
    return distance, index


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
    """Windows of an image, shrunk; unit vectors whose dot product is a correlation: float32 [windows, COARSE ** 2]."""
    soft = cv2.GaussianBlur(np.ascontiguousarray(image, dtype=np.float32), (0, 0), COARSE_BLUR)
    views = np.empty((len(windows), COARSE**2), dtype=np.float32)
    for view, (side, left, top) in zip(views, windows, strict=True):
        step = side * THUMBNAIL / COARSE
        # From the middle of a coarse pixel to the middle of what it shows
        shift = [share * THUMBNAIL + (step - 1) / 2 for share in (left, top)]
        matrix = np.array([[step, 0, shift[0]], [0, step, shift[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        view[:] = cv2.warpAffine(soft, matrix, (COARSE, COARSE), flags=flags, borderMode=cv2.BORDER_REPLICATE).ravel()
    return unit_vectors(views - views.mean(axis=1, keepdims=True))


def _fine_distance(candidate: np.ndarray, reference: np.ndarray) -> float:
    """1 - the best correlation of the candidate's centre with any place of the reference."""
    soft, under = (cv2.GaussianBlur(image.astype(np.float32), (0, 0), FINE_BLUR) for image in (candidate, reference))
    centre = soft[EDGE:-EDGE, EDGE:-EDGE]
    if np.ptp(centre) == 0:
        # Template matching calls a blank picture equal to everything
        return 1.0
    best = -1.0
    for side, size in product((centre, np.ascontiguousarray(centre[:, ::-1])), SIZES):
        over = cv2.resize(side, (size, size), interpolation=cv2.INTER_AREA)
        best = max(best, float(cv2.matchTemplate(under, over, cv2.TM_CCOEFF_NORMED).max()))
    return 1 - best
