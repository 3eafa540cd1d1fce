"""VinDr-CXR's boxes (annotations_train.csv, annotations_test.csv, and Kaggle's train.csv), drawn by radiologists.

https://physionet.org/content/vindr-cxr/1.0.0/ (Nguyen et al., Scientific Data 2022). Corners are in pixels of the
original DICOM file. Its size differs from image to image and is not in the table, but some copies of the table have it.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.box_table import BoxTable
from trcgl.runtime.errors import InputError
from trcgl.tables import read_columns

CORNERS = ["x_min", "y_min", "x_max", "y_max"]
VINDR_COLUMNS = ("image_id", "class_name", *CORNERS)
NORMAL = "No finding"
SIZE = ["width", "height"]
DIMENSIONS = {"dim1": "width", "dim0": "height"}
"""As resized copies of Kaggle's images come with their sizes: rows first."""


def read_vindr_boxes(path: Path) -> BoxTable:
    """The boxes of the table; rows with `No finding` have no box.

    Raises:
        InputError: the file is not such a table, or a box is not given by valid corners.
    """
    source = read_columns(path, VINDR_COLUMNS, ("rad_id", *SIZE), what="VinDr-CXR's table of boxes")
    corners = numbers(source, CORNERS)
    boxed = (source["class_name"] != NORMAL).to_numpy()
    wrong = boxed & ~(np.isfinite(corners).all(axis=1) & (corners[:, 2:] > corners[:, :2]).all(axis=1))
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{path}: row {row + 1}: the box of '{source['image_id'][row]}' is not four numbers with x_min below x_max "
            "and y_min below y_max"
        )
    sizes = numbers(source, SIZE)
    boxes = pd.DataFrame(
        {
            "row": np.arange(1, len(source) + 1),
            "image": source["image_id"],
            "finding": source["class_name"],
            "reader": source["rad_id"],
            "x": corners[:, 0],
            "y": corners[:, 1],
            "w": corners[:, 2] - corners[:, 0],
            "h": corners[:, 3] - corners[:, 1],
            "width": sizes[:, 0],
            "height": sizes[:, 1],
        }
    )
    return BoxTable(boxes[boxed].reset_index(drop=True), len(source))


def read_box_sizes(path: Path) -> pd.DataFrame:
    """Sizes of the originals: width and height by image, from columns width and height, or dim0 and dim1.

    Raises:
        InputError: the file is not such a table, an image is listed twice, or a size is not two whole numbers above 0.
    """
    source = read_columns(path, ("image_id",), (*SIZE, *DIMENSIONS), what="a table of the originals' sizes")
    by_name = [name for name in (SIZE, list(DIMENSIONS)) if not (source[name] == "").all(axis=None)]
    if len(by_name) != 1:
        stated = "states sizes in two ways" if by_name else "states no size"
        raise InputError(
            f"{path}: {stated}; fill exactly one pair of columns: width and height, or dim0 (rows) and dim1"
        )
    found = numbers(source, by_name[0])
    wrong = ~(np.isfinite(found) & (found > 0) & (found == np.rint(found))).all(axis=1)
    images = source["image_id"]
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(f"{path}: row {row + 1}: the size of '{images[row]}' is not two whole numbers above 0")
    if images.duplicated().any():
        raise InputError(f"{path}: the image '{images[images.duplicated()].iloc[0]}' is listed twice; keep one row")
    return pd.DataFrame(found, columns=SIZE, index=pd.Index(images))


def numbers(source: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """float64 [n, columns]; NaN for what is not a number."""
    return np.stack([pd.to_numeric(source[name], errors="coerce").to_numpy(np.float64) for name in columns], axis=1)
