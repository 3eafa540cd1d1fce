"""NIH ChestX-ray14's label file (Data_Entry_2017.csv and Data_Entry_2017_v2020.csv) as a canonical table.

https://nihcc.app.box.com/v/ChestXray-NIHCC (Wang et al., CVPR 2017).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.ages import stated_ages
from trcgl.labels.ids import read_ids
from trcgl.labels.listed import assemble_listed
from trcgl.labels.nih_lists import official_test
from trcgl.labels.table import LabelTable
from trcgl.runtime.errors import InputError
from trcgl.tables import read_columns

REQUIRED = ("Image Index", "Finding Labels", "Patient ID", "View Position")
OPTIONAL = ("Follow-up #", "Patient Age", "Patient Gender", "Patient Sex")


def read_nih(path: str | Path) -> LabelTable:
    """Read an NIH label file of either edition.

    The images of the official test_list.txt, if it is beside the label file, are the test split (`official_test`).

    Rejected rows: image name missing, image name is a path, patient id missing, labels missing, duplicate image name.

    Raises:
        InputError: the file is not a readable CSV file with NIH's columns; a follow-up is not a whole number; patient
            ids are no longer exact (`read_ids`); labels are not names (`assemble_listed`); the official lists do not
            fit (`official_test`).
    """
    path = Path(path)
    source = read_columns(path, REQUIRED, OPTIONAL, what="an NIH ChestX-ray14 label table")
    _check_visits(path, source["Follow-up #"])
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
            # Missing outside 0 to 120: the file has a 414
            "age": stated_ages(path, "Patient Age", source["Patient Age"]),
            "split": np.where(official_test(path, source["Image Index"], patients), "test", ""),
        }
    )
    return assemble_listed(path, rows, source["Finding Labels"], normal=["No Finding"])


def _check_visits(path: Path, visits: pd.Series) -> None:
    """Stop at a follow-up that is no number: labels with a comma that is not quoted have moved the row's values."""
    wrong = ~visits.str.fullmatch(r"(\d+(\.0+)?)?").to_numpy(bool)
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{path}: row {row + 1}: 'Follow-up #' is '{visits.iloc[row][:80]}', no whole number; quote the value with "
            "a comma before it, or correct it"
        )
