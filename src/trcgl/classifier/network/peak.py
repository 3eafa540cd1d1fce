"""Where a map is largest, between the middles of its cells."""

import numpy as np


def peak_of(evidence: np.ndarray) -> tuple[float, float] | None:
    """Down and right, as shares of the sides, of the maximum of a map [h, w]; None if it is the same everywhere.

    The maximum lies in the strongest cell, at the top of the parabolas through it and its neighbours, along the rows
    and along the columns: linearly interpolated, its middle would always win, however strong the neighbour on one
    side. On the border it is the cell's middle.
    """
    if not evidence.max() > evidence.min():
        return None
    row, column = (int(index) for index in np.unravel_index(int(evidence.argmax()), evidence.shape))
    down, right = row + _top(evidence[:, column], row), column + _top(evidence[row], column)
    return (down + 0.5) / evidence.shape[0], (right + 0.5) / evidence.shape[1]


def _top(values: np.ndarray, largest: int) -> float:
    """Where the parabola through the largest of values and its two neighbours is highest, -0.5 to 0.5 from it."""
    if not 0 < largest < len(values) - 1:
        return 0.0
    before, middle, after = (float(value) for value in values[largest - 1 : largest + 2])
    bend = before - 2 * middle + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
