"""Tables of boxes of NIH ChestX-ray14 or of VinDr-CXR, recognised by their header."""

from pathlib import Path

from trcgl.labels.box_table import BoxTable
from trcgl.labels.nih_boxes import read_nih_boxes
from trcgl.labels.vindr_boxes import read_vindr_boxes
from trcgl.tables import read_header


def read_boxes(path: Path) -> BoxTable:
    """The boxes of a table.

    Raises:
        InputError: the file is neither table, or a box is not valid.
    """
    return read_vindr_boxes(path) if "x_min" in read_header(path) else read_nih_boxes(path)
