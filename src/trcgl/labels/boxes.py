"""Tables of boxes of NIH ChestX-ray14 or of VinDr-CXR, recognised by their header."""

from pathlib import Path

from trcgl.labels.box_table import BoxTable
from trcgl.labels.nih_boxes import NIH_COLUMNS, read_nih_boxes
from trcgl.labels.vindr_boxes import CORNERS, VINDR_COLUMNS, read_vindr_boxes
from trcgl.runtime.errors import InputError
from trcgl.tables import read_header


def read_boxes(path: Path) -> BoxTable:
    """The boxes of a table.

    Raises:
        InputError: the file is neither table, or a box is not valid.
    """
    header = set(read_header(path))
    if header & set(CORNERS):
        return read_vindr_boxes(path)
    if header & set(NIH_COLUMNS[:3]):  # not `y` and `w`, which are no sign of NIH's list
        return read_nih_boxes(path)
    raise InputError(
        f"{path}: has none of the columns of a table of boxes; name them {', '.join(VINDR_COLUMNS)} (as VinDr-CXR "
        f"does: corners in pixels of the original), or {', '.join(NIH_COLUMNS)} (as NIH does)"
    )
