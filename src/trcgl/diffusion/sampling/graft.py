"""A region of one film laid into another: in the other's grey levels, with a soft edge."""

import cv2
import numpy as np

QUIET, MOST = 0.05, 0.99
"""Quantiles of a film's map that count as none and as the most: one pixel does not decide."""
SMOOTH, MARGIN, EDGE, SURROUND = 1 / 64, 1 / 32, 3 / 128, 1 / 8
"""Shares of a side: the map is blurred with the first as standard deviation; the region is widened by the second, so
that a finding's border comes along; its edge is blurred with the third; within the fourth of it, films are compared."""
OUTSIDE = 0.01
"""Share below which a pixel is the carrier's."""


def region_of(differences: np.ndarray, threshold: float, margin: float = MARGIN) -> np.ndarray:
    """The region of a finding: bool [S, S]; all False where the map is the same everywhere.

    Args:
        differences: see `finding_map`.
        threshold: a pixel counts from this share of the way from the quiet quantile to the largest one, after blurring.
    """
    smooth = cv2.GaussianBlur(differences, (0, 0), SMOOTH * len(differences))
    quiet, most = np.quantile(smooth, [QUIET, MOST])
    if most <= quiet:
        return np.zeros(smooth.shape, dtype=bool)
    return widened((smooth - quiet) / (most - quiet) >= threshold, margin)


def soft_edged(region: np.ndarray, size: int) -> np.ndarray:
    """How much of each pixel is the region's: float32 [size, size] in 0..1.

    Args:
        region: bool [M, M], M at least `size`.
    """
    small = cv2.resize(region.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    share = np.clip(cv2.GaussianBlur(small, (0, 0), EDGE * size), 0, 1)
    return np.where(share < OUTSIDE, np.float32(0), share)


def surrounding(share: np.ndarray) -> np.ndarray:
    """What lies around a region: bool [S, S].

    Args:
        share: see `soft_edged`.
    """
    return widened(share > 0, SURROUND) & (share == 0)


def brightness(carrier: np.ndarray, film: np.ndarray, around: np.ndarray) -> tuple[float, float, float]:
    """The film in the carrier's grey levels, fitted by least squares to what surrounds the region in both.

    Args:
        carrier, film: uint8 [S, S].
        around: see `surrounding`.

    Returns:
        Factor (at most 2 either way), offset in grey levels, and what remains of the difference: its root mean square,
        as a share of the carrier's standard deviation there, because a faint carrier differs less in grey levels.
    """
    if not around.any():
        return 1.0, 0.0, 0.0
    ground, lesion = (picture[around].astype(np.float64) for picture in (carrier, film))
    spread = lesion.var()
    factor = float(np.cov(lesion, ground, bias=True)[0, 1] / spread) if spread > 0 else 1.0
    factor = float(np.clip(factor, 0.5, 2.0))
    offset = float(ground.mean() - factor * lesion.mean())
    left = float(np.sqrt(np.mean((factor * lesion + offset - ground) ** 2)))
    return factor, offset, left / max(float(ground.std()), 1.0)


def graft(carrier: np.ndarray, film: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The film's region in the carrier: uint8 [S, S]; where the share is 0, the carrier as it is.

    Args:
        carrier, film: uint8 [S, S].
        share: see `soft_edged`.
    """
    factor, offset, _ = brightness(carrier, film, surrounding(share))
    blended = share * (factor * film.astype(np.float32) + offset) + (1 - share) * carrier.astype(np.float32)
    return np.where(share > 0, np.clip(np.rint(blended), 0, 255), carrier).astype(np.uint8)


def widened(mask: np.ndarray, margin: float) -> np.ndarray:
    """bool [M, M]: all within `margin`, a share of the side, of the mask."""
    radius = round(margin * len(mask))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0
