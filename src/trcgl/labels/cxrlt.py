"""The CXR-LT 2026 Task 1 training package (142,928 PadChest images, 30 classes) as a canonical table.

The package is a folder with train.csv (ImageID, StudyDate_DICOM, PatientID and one column per class) and, beside it,
corrupted_images.csv and Removal.csv, which list ImageIDs to leave out. https://arxiv.org/abs/2602.22092
"""

from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.cells import say
from trcgl.labels.coded import assemble_coded, check_coded, class_columns, read_codes
from trcgl.labels.ids import read_ids
from trcgl.labels.name_lists import find_list, match_names
from trcgl.labels.table import LabelTable
from trcgl.runtime.errors import InputError
from trcgl.tables import read_columns, read_header

REQUIRED = ("ImageID", "PatientID")
DATE = "StudyDate_DICOM"
TRAIN = "train.csv"
LEFT_OUT = ("corrupted_images.csv", "Removal.csv")
WHAT = "a CXR-LT label table"


def read_cxrlt(path: str | Path) -> LabelTable:
    """Read a CXR-LT package.

    Every column other than ImageID, StudyDate_DICOM, PatientID and a nameless index is a class: 1, 0, -1 (uncertain) or
    blank (unknown). Rejected rows: image name missing, image name is a path, patient id missing, a value other than
    these, no class stated, listed in corrupted_images.csv or Removal.csv, duplicate image name.

    Args:
        path: the package's folder, or its table (train.csv).

    Raises:
        InputError: the file is not a readable CSV file with these columns; a class column has neither 0 nor 1; patient
            ids are no longer exact (`read_ids`); a list names no image of the table, or its file name is misspelt.
    """
    path = Path(path)
    table = path / TRAIN if path.is_dir() else path
    classes = class_columns(table, read_header(table), (*REQUIRED, DATE))
    source = read_columns(table, REQUIRED, (*classes, DATE), what=WHAT)
    patients = read_ids(table, "PatientID", source["PatientID"])
    codes = read_codes(source[classes])
    check_coded(table, source[classes], codes, WHAT)
    rows = pd.DataFrame(
        {
            "row": np.arange(1, len(source) + 1),
            "image": source["ImageID"],
            "patient": patients,
            "study": patients + "_" + source[DATE],
        }
    )
    left_out = [(f"listed in {name}", _listed(find_list(table.parent, name), source["ImageID"])) for name in LEFT_OUT]
    return assemble_coded(rows, codes, classes, source=table, normal="Normal", reasons=left_out)


def _listed(path: Path | None, images: pd.Series) -> np.ndarray:
    """Which images are named by a list beside the table; none if there is no such file.

    Raises:
        InputError: the file is not such a list, or it names no image of the table.
    """
    if path is None:
        return np.zeros(len(images), bool)
    names = read_columns(path, ("ImageID",), what="a list of images to leave out")["ImageID"]
    matched = match_names(path, [name for name in names if name], images)
    if not matched.named.any():
        raise InputError(f"{path}: {matched}; correct the list, or remove it if it is of another table")
    if matched.strangers:
        say(f"{path}: {matched}")
    return matched.named
