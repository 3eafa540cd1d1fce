"""What a table of boxes holds, whoever drew them."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class BoxTable:
    """Boxes as their source states them.

    Attributes:
        boxes: one row per box: row (of the source, from 1), image (named as the source does), finding (spelled as in
            the label table), reader ("" of a single one or a consensus), x, y (upper left corner), w, h in pixels of
            the original image, and its width and height (NaN where the table does not state them).
        rows: of the source, with those that state that nothing was found.
    """

    boxes: pd.DataFrame
    rows: int
