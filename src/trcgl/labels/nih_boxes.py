"""NIH ChestX-ray14's boxes (BBox_List_2017.csv: 984 boxes of eight findings in 880 images), drawn by a radiologist.

https://nihcc.app.box.com/v/ChestXray-NIHCC (Wang et al., CVPR 2017, section 4.2).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.box_table import BoxTable
from trcgl.labels.vindr_boxes import numbers
from trcgl.runtime.errors import InputError
from trcgl.tables import read_columns

BOX_SIDE = 1024
"""Pixels a side of the published images, in which the boxes are given."""
# The header is `Bbox [x,y,w,h]`, which the commas split into four column names
NUMBERS = {"Bbox [x": "x", "y": "y", "w": "w", "h]": "h"}
NIH_COLUMNS = ("Image Index", "Finding Label", *NUMBERS)
LABEL_OF = {"Infiltrate": "Infiltration"}
"""The one finding that the list spells otherwise than the label table."""


def read_nih_boxes(path: Path) -> BoxTable:
    """The boxes of the list.

    Raises:
        InputError: the file is not a readable CSV file with these columns, or a box is not four numbers with a size
            above 0.
    """
    # Nearly all are numbers, so that a value with a comma in it cannot go unseen
    source = read_columns(path, NIH_COLUMNS, what="NIH's list of boxes", uneven=True)
    boxes = pd.DataFrame(numbers(source, list(NUMBERS)), columns=list(NUMBERS.values()))
    values = boxes.to_numpy()
    wrong = ~(np.isfinite(values).all(axis=1) & (values[:, 2:] > 0).all(axis=1))
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{path}: row {row + 1}: the box of '{source['Image Index'][row]}' is not four numbers x, y, w, h with "
            "w and h above 0"
        )
    about = {"image": source["Image Index"], "finding": source["Finding Label"].replace(LABEL_OF), "reader": ""}
    size = {"width": float(BOX_SIDE), "height": float(BOX_SIDE)}
    return BoxTable(boxes.assign(**about, row=np.arange(1, len(boxes) + 1), **size), len(source))
