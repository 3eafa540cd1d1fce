"""The content of a table of boxes, from any data set."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class BoxTable:
    """Boxes as their source states them.

    Attributes:
        boxes: one row per box: row (of the source, from 1), image (named as in the source), finding (spelled as in the
            label table), reader ("" for a single reader or a consensus), x, y (upper left corner), w, h in pixels of
            the original image, and width and height of that image (NaN where the table does not state them).
        rows: number of rows in the source, including rows that state that nothing was found.
    """

    boxes: pd.DataFrame
    rows: int
