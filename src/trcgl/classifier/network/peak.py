"""Position of the maximum of a map, more precise than one cell."""

import numpy as np


def peak_of(evidence: np.ndarray) -> tuple[float, float] | None:
    """Position (down, right), as shares of the sides, of the maximum of a map [h, w]; None if the map is constant.

    The maximum lies in the cell with the largest value; of several, in the one nearest to their middle (the mean of a
    few boxes has the same value in a whole region). Along each axis, a parabola is fitted to this cell and its two
    neighbours; the position is where the parabola is highest. With linear interpolation it would always be the cell's
    centre, however large a neighbour's value is. For a cell on the border it is the cell's centre on that axis.
    """
    if not evidence.max() > evidence.min():
        return None
    cells = np.argwhere(evidence == evidence.max())
    row, column = cells[((cells - cells.mean(axis=0)) ** 2).sum(axis=1).argmin()].tolist()
    down, right = row + _top(evidence[:, column], row), column + _top(evidence[row], column)
    return (down + 0.5) / evidence.shape[0], (right + 0.5) / evidence.shape[1]


def _top(values: np.ndarray, largest: int) -> float:
    """Offset, in -0.5..0.5, from index `largest` to the top of the parabola through that value and its neighbours."""
    if not 0 < largest < len(values) - 1:
        return 0.0
    before, middle, after = (float(value) for value in values[largest - 1 : largest + 2])
    bend = before - 2 * middle + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
