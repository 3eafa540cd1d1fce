"""The best value of a grid; the grid grows until the best value is not at either end."""

import math
from collections.abc import Callable, Iterable

from trcgl.runtime.errors import InputError

FACTOR = 2.0
MOST_ADDED = 6
"""Values beyond the grid: a grid that needs more is in the wrong place."""


def bracketed(grid: Iterable[float], score: Callable[[float], float], *, of: str) -> float:
    """The value with the largest score, never an end of the grid.

    While an end is the best, the next value beyond it (times or divided by FACTOR) is added.

    Args:
        grid: positive, at least one value.
        score: higher is better; called once per value.
        of: what the values belong to, for the message.

    Raises:
        InputError: an end is still the best when MOST_ADDED values have been added, or a score is not a number.
    """
    scores: dict[float, float] = {}
    asked = sorted(grid)
    most = len(asked) + MOST_ADDED
    while True:
        scores |= {value: score(value) for value in asked}
        if any(math.isnan(found) for found in scores.values()):
            raise InputError(f"{of}: no finding can be scored on validation images, so no value can be chosen")
        low, high = min(scores), max(scores)
        # The lowest of equally good values
        best: float = max(sorted(scores), key=lambda value: scores[value])
        if low < best < high:
            return best
        if len(scores) == most:
            raise InputError(
                f"{of}: {best:g} is the best on validation images of all from {low:g} to {high:g}, at the end of them; "
                f"start the grid {'lower' if best == low else 'higher'}"
            )
        asked = [low / FACTOR if best == low else high * FACTOR]
