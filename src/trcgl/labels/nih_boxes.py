"""NIH ChestX-ray14's boxes (BBox_List_2017.csv: 984 boxes of eight findings in 880 images), drawn by a radiologist.

https://nihcc.app.box.com/v/ChestXray-NIHCC (Wang et al., CVPR 2017, section 4.2).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.runtime.errors import InputError
from trcgl.tables import read_columns

BOX_SIDE = 1024
"""Pixels a side of the published images, in which the boxes are given; a resized copy has the same frame."""
# The header is `Bbox [x,y,w,h]`, so the commas cut it into four
NUMBERS = {"Bbox [x": "x", "y": "y", "w": "w", "h]": "h"}
LABEL_OF = {"Infiltrate": "Infiltration"}
"""The one finding that the list spells otherwise than the label table."""


def read_nih_boxes(path: str | Path) -> pd.DataFrame:
    """image, finding (spelled as in the label table), x, y (upper left corner), w, h in pixels: a row a box.

    Raises:
        InputError: not a readable CSV file with these columns, or a box that is not four numbers.
    """
    path = Path(path)
    source = read_columns(path, ("Image Index", "Finding Label", *NUMBERS), what="NIH's list of boxes")
    boxes = pd.DataFrame({"image": source["Image Index"], "finding": source["Finding Label"].replace(LABEL_OF)})
    for column, name in NUMBERS.items():
        boxes[name] = pd.to_numeric(source[column], errors="coerce").astype("float64")
    wrong = ~np.isfinite(boxes[["x", "y", "w", "h"]].to_numpy()).all(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(f"{path}: row {row + 1}: the box of '{boxes['image'][row]}' is not four numbers x, y, w, h")
    return boxes
