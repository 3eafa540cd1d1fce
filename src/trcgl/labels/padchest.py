"""PadChest's label file (160,861 rows, 36 columns, CSV or CSV.gz) as a canonical table.

https://bimcv.cipf.es/bimcv-projects/padchest/ ; the phantom's label file has the same columns and irregularities.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.cells import is_missing, say, without_missing
from trcgl.labels.ids import read_ids
from trcgl.labels.label_text import parse_list
from trcgl.labels.listed import assemble_listed
from trcgl.labels.table import LabelTable
from trcgl.runtime.errors import and_more
from trcgl.tables import read_columns

PHOTOMETRIC = "PhotometricInterpretation_DICOM"
REQUIRED = ("ImageID", "StudyID", "PatientID", "Projection", "MethodLabel", "Labels")
OPTIONAL = ("ImageDir", "StudyDate_DICOM", "PatientBirth", "PatientSex_DICOM", PHOTOMETRIC)


def read_padchest(path: str | Path) -> LabelTable:
    """Read a PadChest label file.

    Rejected rows: image name missing, image name is a path, patient id missing, labels missing ('nan'), labels not a
    list of texts, a label of the list missing, no label (an empty list says nothing about the image, not that it is
    normal), duplicate image name.

    Raises:
        InputError: the file is not a readable CSV file with PadChest's columns; patient ids are no longer exact
            (`read_ids`); labels are not names (`assemble_listed`).
    """
    path = Path(path)
    source = read_columns(path, REQUIRED, OPTIONAL, what="a PadChest label table")
    rows = pd.DataFrame(
        {
            "row": np.arange(1, len(source) + 1),
            "image": source["ImageID"],
            "folder": source["ImageDir"],
            "patient": read_ids(path, "PatientID", source["PatientID"]),
            "study": source["StudyID"],
            "projection": source["Projection"],
            "sex": source["PatientSex_DICOM"],
            "age": _age(path, source["StudyDate_DICOM"], source["PatientBirth"]),
            "photometric": _photometric(path, source[PHOTOMETRIC]),
            "method": source["MethodLabel"],
        }
    )
    like = "['mass', 'nodule']"
    return assemble_listed(
        path, rows, source["Labels"], normal=["normal"], read=parse_list, like=like, empty="no label"
    )


def _photometric(path: Path, text: pd.Series) -> pd.Series:
    """The photometric interpretation as DICOM writes it; log lines say where it is unknown.

    MONOCHROME1 means that the image is inverted; the PNG files do not say so.
    """
    if (text == "").all():
        say(f"{path}: no {PHOTOMETRIC}: pictures are read as they are, also where air is bright (MONOCHROME1)")
    found = without_missing(text).str.upper().str.replace(" ", "")
    other = np.flatnonzero(~found.isin(["MONOCHROME1", "MONOCHROME2", ""]))
    if len(other):
        say(f"{path}: row {other[0] + 1}: {PHOTOMETRIC} '{text.iloc[other[0]]}'{and_more(len(other) - 1)} is neither "
            "MONOCHROME1 nor MONOCHROME2: read as not inverted")  # fmt: skip
    return found


def _age(path: Path, date: pd.Series, birth: pd.Series) -> pd.Series:
    """Years from the year of birth to the study's date (yyyymmdd); missing outside 0 to 120, and a log line says so."""
    age = pd.Series(_numbers(date.str[:4]) - _numbers(birth))
    known = age.between(0, 120)
    wrong = np.flatnonzero(~known & ~is_missing(date) & ~is_missing(birth))
    if len(wrong):
        say(f"{path}: row {wrong[0] + 1}: StudyDate_DICOM '{date.iloc[wrong[0]]}' and PatientBirth "
            f"'{birth.iloc[wrong[0]]}'{and_more(len(wrong) - 1)} give no age from 0 to 120, which counts as unknown; a "
            "date is written as yyyymmdd, a birth as its year")  # fmt: skip
    return age.where(known).round().astype("Int64")


def _numbers(text: pd.Series) -> np.ndarray:
    """float64, NaN where the text is not a number; each different text is read once."""
    codes, texts = pd.factorize(text)
    return pd.to_numeric(pd.Series(texts), errors="coerce").to_numpy(np.float64)[codes]
