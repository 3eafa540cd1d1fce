"""A class map resized so that it can be drawn over its image."""

import numpy as np

NOWHERE = (0.0, 0.0)
OPACITY = 0.6
"""Opacity of the colour over an image at the maximum of the map."""


def spread_over(evidence: np.ndarray, side: int, shift: tuple[float, float] = NOWHERE) -> np.ndarray:
    """float [h, w] -> float32 [side, side], bilinear between the cells; outermost values continue to the edge.

    Args:
        shift: how far (down, right) the cells' receptive fields lie from the centres of their tiles, as shares of the
            side; see `receptive_shift`.
    """
    (height, width), (down, right) = evidence.shape, shift
    pixel = (np.arange(side) + 0.5) / side
    rows, columns = (pixel - down) * height - 0.5, (pixel - right) * width - 0.5
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    tall = _between(np.asarray(evidence, dtype=np.float64), rows)
    return _between(tall.T, columns).T.astype(np.float32)


def coloured_share(evidence: np.ndarray, side: int, shift: tuple[float, float] = NOWHERE) -> np.ndarray:
    """The positive evidence divided by its maximum: float32 [side, side] in 0..1, as shown in the figures."""
    spread = spread_over(np.maximum(evidence, 0), side, shift)
    return spread / max(float(spread.max()), 1e-12)


def _between(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Rows of `values` [h, ...] at fractional indices in 0..h-1, linearly interpolated."""
    below = np.minimum(at.astype(int), max(len(values) - 2, 0))
    share = (at - below)[:, None]
    return values[below] * (1 - share) + values[np.minimum(below + 1, len(values) - 1)] * share
