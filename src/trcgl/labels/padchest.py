"""PadChest's label file (160,861 rows, 36 columns, CSV or CSV.gz) as a canonical table.

https://bimcv.cipf.es/bimcv-projects/padchest/ ; the phantom's label file has the same columns and the same dirt.
"""

import ast
import re
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.listed import assemble_listed
from trcgl.labels.table import LabelTable, check_patient_ids
from trcgl.tables import read_columns

REQUIRED = ("ImageID", "StudyID", "PatientID", "Projection", "MethodLabel", "Labels")
OPTIONAL = ("ImageDir", "StudyDate_DICOM", "PatientBirth", "PatientSex_DICOM", "PhotometricInterpretation_DICOM")
# What Python writes for a list of plain texts; everything else goes to Python's own parser, which takes ten times as
# long. Tests hold that both read the same.
PLAIN_LIST = re.compile(r"\[(?:'[^'\\\r\n\x00]*'(?:, ?'[^'\\\r\n\x00]*')*)?\]")


def parse_list(text: str) -> list[str] | None:
    """A label list written as Python text: stripped, no empty one, no repetition, in order; None if it is not one."""
    if PLAIN_LIST.fullmatch(text):
        labels = text.split("'")[1::2]
    else:
        try:
            labels = ast.literal_eval(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return None
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            return None
    return list(filter(None, dict.fromkeys(map(str.strip, labels))))


def read_padchest(path: str | Path) -> LabelTable:
    """Read a PadChest label file.

    Rejected rows: image name missing, image name is a path, patient id missing, labels missing ('nan'), labels not a
    list of texts, no label (an empty list says nothing about the image, not that it is normal), duplicate image name.

    Raises:
        InputError: not a readable CSV file with PadChest's columns, or its patient ids are rounded numbers.
    """
    path = Path(path)
    source = read_columns(path, REQUIRED, OPTIONAL, what="a PadChest label table")
    check_patient_ids(path, "PatientID", source["PatientID"])
    rows = pd.DataFrame(
        {
            "row": np.arange(1, len(source) + 1),
            "image": source["ImageID"],
            "folder": source["ImageDir"],
            "patient": source["PatientID"],
            "study": source["StudyID"],
            "projection": source["Projection"],
            "sex": source["PatientSex_DICOM"].replace("nan", ""),
            "age": _age(source["StudyDate_DICOM"], source["PatientBirth"]),
            "photometric": source["PhotometricInterpretation_DICOM"].replace("nan", ""),
            "method": source["MethodLabel"],
        }
    )
    missing = source["Labels"].isin(["", "nan"])
    return assemble_listed(
        rows,
        source["Labels"],
        normal=["normal"],
        read=parse_list,
        empty="no label",
        reasons=[("labels missing", missing)],
    )


def _age(date: pd.Series, birth: pd.Series) -> pd.Series:
    """Years from the year of birth to the study's date (yyyymmdd); missing outside 0 to 120."""
    age = pd.Series(_numbers(date.str[:4]) - _numbers(birth))
    return age.where(age.between(0, 120)).round().astype("Int64")


def _numbers(text: pd.Series) -> np.ndarray:
    """float64, NaN where the text is not a number; each different text is read once."""
    codes, texts = pd.factorize(text)
    return pd.to_numeric(pd.Series(texts), errors="coerce").to_numpy(np.float64)[codes]
