"""The CXR-LT 2026 Task 1 training package (142,928 PadChest images, 30 classes) as a canonical table.

The package is a folder with train.csv (ImageID, StudyDate_DICOM, PatientID and one column per class) and, beside it,
corrupted_images.csv and Removal.csv, which list ImageIDs to leave out. https://arxiv.org/abs/2602.22092
"""

from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.read import read_columns, read_header
from trcgl.labels.table import LabelTable, assemble, check_patient_ids, first_reason
from trcgl.runtime.errors import InputError

REQUIRED = ("ImageID", "PatientID")
DATE = "StudyDate_DICOM"
TRAIN = "train.csv"
LEFT_OUT = ("corrupted_images.csv", "Removal.csv")
WHAT = "a CXR-LT label table"
PRESENT, ABSENT, UNKNOWN = ("1", "1.0"), ("0", "0.0"), ("", "nan", "-1", "-1.0")


def read_cxrlt(path: str | Path) -> LabelTable:
    """Read a CXR-LT package.

    Every column other than ImageID, StudyDate_DICOM, PatientID and a nameless index is a class with 1, 0, and blank
    or -1 for unknown. Rejected rows: image name missing, image name is a path, patient id missing, a value other than
    these, no class known, listed in corrupted_images.csv or Removal.csv, duplicate image name.

    Args:
        path: the package's folder, or its table (train.csv).

    Raises:
        InputError: not a readable CSV file with these columns, a class column without any 0 or 1, or patient ids that
            are rounded numbers.
    """
    path = Path(path)
    table = path / TRAIN if path.is_dir() else path
    classes = [name for name in read_header(table) if name not in (*REQUIRED, DATE, "", "Unnamed: 0")]
    source = read_columns(table, (*REQUIRED, *classes), (DATE,), what=WHAT)
    if not classes:
        raise InputError(f"{table}: has no class column beside ImageID, {DATE}, PatientID; expected {WHAT}")
    check_patient_ids(table, "PatientID", source["PatientID"])
    present, absent, unknown = (
        np.column_stack([source[name].isin(values) for name in classes]) for values in (PRESENT, ABSENT, UNKNOWN)
    )
    for position, name in enumerate(classes):
        if not (present | absent)[:, position].any():
            raise InputError(
                f"{table}: column '{name}' holds no 0 or 1 (its first value is '{source[name].iloc[0]}'); "
                f"every column of {WHAT} other than ImageID, {DATE} and PatientID is a class"
            )
    numbers = np.arange(1, len(source) + 1)
    rows = pd.DataFrame(
        {
            "row": numbers,
            "image": source["ImageID"],
            "folder": "",
            "patient": source["PatientID"],
            "study": source["PatientID"] + "_" + source[DATE],
            "projection": "",
            "sex": "",
            "age": pd.Series(pd.NA, index=source.index, dtype="Int64"),
            "photometric": "",
            "method": "",
        }
    )
    codes = present.astype(np.int64) + 2 * unknown
    return assemble(
        rows,
        _pairs(numbers, present, classes),
        _pairs(numbers, unknown, classes),
        normal="Normal",
        label_reasons=first_reason(
            *((f"listed in {name}", source["ImageID"].isin(_listed(table.parent / name))) for name in LEFT_OUT),
            ("label value is not 1, 0, -1 or blank", ~(present | absent | unknown).all(axis=1)),
            ("no label", unknown.all(axis=1)),
        ),
        content=pd.util.hash_pandas_object(pd.DataFrame(codes), index=False),
    )


def _pairs(numbers: np.ndarray, holds: np.ndarray, classes: list[str]) -> pd.DataFrame:
    row, column = np.nonzero(holds)
    return pd.DataFrame({"row": numbers[row], "label": pd.Categorical.from_codes(column, categories=pd.Index(classes))})


def _listed(path: Path) -> pd.Series:
    """The ImageIDs of a list beside the table; none if there is no such file."""
    if not path.exists():
        return pd.Series(dtype="str")
    return read_columns(path, ("ImageID",), what="a list of images to leave out")["ImageID"]
