"""Tables of boxes, of NIH ChestX-ray14 or of VinDr-CXR: whichever the header says."""

from pathlib import Path

import pandas as pd

from trcgl.labels.nih_boxes import read_nih_boxes
from trcgl.labels.vindr_boxes import read_vindr_boxes
from trcgl.tables import read_header


def read_boxes(path: Path) -> pd.DataFrame:
    """One row per box.

    Returns:
        row (of the source, from 1), image (named as the source does), finding (spelled as in the label table), reader
        ("" of a single one or a consensus), x, y (upper left corner), w, h in pixels of the original image, and its
        width and height (NaN where the table does not state them).

    Raises:
        InputError: neither table, or a box that is none.
    """
    return read_vindr_boxes(path) if "x_min" in read_header(path) else read_nih_boxes(path)
