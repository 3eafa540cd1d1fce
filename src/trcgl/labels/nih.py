"""NIH ChestX-ray14's label file (Data_Entry_2017.csv and Data_Entry_2017_v2020.csv) as a canonical table.

https://nihcc.app.box.com/v/ChestXray-NIHCC (Wang et al., CVPR 2017).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.ids import read_ids
from trcgl.labels.listed import assemble_listed
from trcgl.labels.nih_lists import official_test
from trcgl.labels.table import LabelTable
from trcgl.tables import read_columns

REQUIRED = ("Image Index", "Finding Labels", "Patient ID", "View Position")
OPTIONAL = ("Follow-up #", "Patient Age", "Patient Gender", "Patient Sex")
YEARS_PER_UNIT = {"": 1.0, "Y": 1.0, "M": 1 / 12, "W": 1 / 52, "D": 1 / 365}


def read_nih(path: str | Path) -> LabelTable:
    """Read an NIH label file of either edition.

    The images of the official test_list.txt, if it is beside the label file, are the test split (`official_test`).

    Rejected rows: image name missing, image name is a path, patient id missing, labels missing, duplicate image name.

    Raises:
        InputError: the file is not a readable CSV file with NIH's columns; patient ids are no longer exact
            (`read_ids`); labels are not names (`assemble_listed`); the official lists do not fit (`official_test`).
    """
    path = Path(path)
    source = read_columns(path, REQUIRED, OPTIONAL, what="an NIH ChestX-ray14 label table")
    patients = read_ids(path, "Patient ID", source["Patient ID"])
    rows = pd.DataFrame(
        {
            "row": np.arange(1, len(source) + 1),
            "image": source["Image Index"],
            "patient": patients,
            # A follow-up is a visit of the patient
            "study": patients + "_" + source["Follow-up #"],
            "projection": source["View Position"],
            "sex": source["Patient Gender"].where(source["Patient Gender"] != "", source["Patient Sex"]),
            "age": _age(source["Patient Age"]),
            "split": np.where(official_test(path, source["Image Index"], patients), "test", ""),
        }
    )
    return assemble_listed(path, rows, source["Finding Labels"], normal=["No Finding"])


def _age(text: pd.Series) -> pd.Series:
    """Whole years from '58' (v2020) or '058Y', '011M', '003D' (2017); missing outside 0 to 120 (the file has a 414)."""
    parts = text.str.extract(r"^(\d+)([YMWD]?)$")
    years = pd.to_numeric(parts[0], errors="coerce") * parts[1].map(YEARS_PER_UNIT).astype("float64")
    return (years.where(years.between(0, 120)) // 1).astype("Int64")
