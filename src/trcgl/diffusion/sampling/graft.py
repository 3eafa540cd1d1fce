"""Paste a region of one image (the film) into another (the carrier), with the carrier's grey levels and a soft edge."""

import cv2
import numpy as np

QUIET, MOST = 0.05, 0.99
"""Quantiles of a difference map that count as its minimum and maximum, so that no single pixel decides."""
SMOOTH, MARGIN, EDGE, SURROUND = 1 / 64, 1 / 32, 3 / 128, 1 / 8
"""Fractions of the image side. `SMOOTH` is the standard deviation of the map's blur. The region is dilated by `MARGIN`,
so that it includes the finding's border. `EDGE` is the standard deviation of the blur of the region's edge. Two images
are compared within `SURROUND` of the region."""
OUTSIDE = 0.01
"""A pixel whose share is below this value is taken from the carrier alone."""


def region_of(differences: np.ndarray, threshold: float, margin: float = MARGIN) -> np.ndarray:
    """The region of a finding: bool [S, S]; all False where the map is the same everywhere.

    Args:
        differences: see `finding_map`.
        threshold: a pixel belongs to the region if its blurred value reaches this fraction of the way from the `QUIET`
            quantile to the `MOST` quantile.
    """
    smooth = cv2.GaussianBlur(differences, (0, 0), SMOOTH * len(differences))
    quiet, most = np.quantile(smooth, [QUIET, MOST])
    if most <= quiet:
        return np.zeros(smooth.shape, dtype=bool)
    return widened((smooth - quiet) / (most - quiet) >= threshold, margin)


def soft_edged(region: np.ndarray, size: int) -> np.ndarray:
    """Blending weight of the region (its share) at each pixel: float32 [size, size] in 0..1.

    Args:
        region: bool [M, M], M at least `size`.
    """
    small = cv2.resize(region.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    share = np.clip(cv2.GaussianBlur(small, (0, 0), EDGE * size), 0, 1)
    return np.where(share < OUTSIDE, np.float32(0), share)


def surrounding(share: np.ndarray) -> np.ndarray:
    """The pixels around a region, without the region itself: bool [S, S].

    Args:
        share: see `soft_edged`.
    """
    return widened(share > 0, SURROUND) & (share == 0)


def brightness(carrier: np.ndarray, film: np.ndarray, around: np.ndarray) -> tuple[float, float, float]:
    """Fit the film's grey levels to the carrier's by least squares, on the pixels around the region.

    Args:
        carrier, film: uint8 [S, S].
        around: see `surrounding`.

    Returns:
        Factor (0.5 to 2), offset in grey levels, and the remaining difference. The latter is the root mean square,
        divided by the carrier's standard deviation around the region: otherwise a carrier of low contrast would always
        look similar.
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
    """The carrier with the film's region pasted in: uint8 [S, S]. Where the share is 0, the carrier is unchanged.

    Args:
        carrier, film: uint8 [S, S].
        share: see `soft_edged`.
    """
    factor, offset, _ = brightness(carrier, film, surrounding(share))
    blended = share * (factor * film.astype(np.float32) + offset) + (1 - share) * carrier.astype(np.float32)
    return np.where(share > 0, np.clip(np.rint(blended), 0, 255), carrier).astype(np.uint8)


def widened(mask: np.ndarray, margin: float) -> np.ndarray:
    """The mask, dilated by `margin` (a fraction of the image side): bool [M, M]."""
    radius = round(margin * len(mask))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0
