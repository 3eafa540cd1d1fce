"""Ages of a label table: every usual form becomes whole years, and what is no age stops with a line."""

import math
from pathlib import Path
from string import ascii_uppercase

import pandas as pd
import pytest
from pydicom import config
from pydicom.valuerep import validate_value

from tests.label_tables import as_text
from trcgl.labels.adapters import read_table
from trcgl.labels.ages import ages, years


def read(path: Path, texts: list[str], header: str = "age") -> pd.Series:
    rows = [{"image": f"{k}.png", "patient": str(k), "labels": "Mass", header: text} for k, text in enumerate(texts)]
    path.write_text(as_text(["image", "patient", header, "labels"], rows), encoding="utf-8")
    return read_table("folder", path).rows["age"]


FORMS = {
    "58": 58, "0": 0, "120": 120, "058": 58, "58.0": 58, "58.9": 58, "58,5": 58,
    "058Y": 58, "058y": 58, "011M": 0, "012M": 1, "036M": 3, "003W": 0, "052W": 1, "010D": 0, "400D": 1,
    "58 Y": 58, "58 years": 58, "45y": 45, "12 months": 1, "12mo": 1, "3 d": 0,
    "90+": 90, "89 +": 89, ">89": 90, "> 89": 90,
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), FORMS.items())
def test_forms_of_an_age(text: str, expected: int, tmp_path: Path):
    found = read(tmp_path / "t.csv", [text, "", "nan", " 7"])
    assert found.dtype == "Int64"
    assert found.tolist() == [expected, pd.NA, pd.NA, 7]


@pytest.mark.parametrize("letter", ascii_uppercase)
def test_dicom_has_these_units_and_no_others(letter: str):
    text = f"012{letter}"
    if math.isnan(years(text)):
        with pytest.raises(ValueError, match="AS"):
            validate_value("AS", text, config.RAISE)
    else:
        validate_value("AS", text, config.RAISE)


@pytest.mark.parametrize(
    "text", ["121", "414", "-3", "x", "58.5Y", "1958", "19580101", "adult", "40-49", "5e1", "9" * 5000]
)
def test_what_is_no_age_is_unknown_and_said(text: str, tmp_path: Path, said: list[str]):
    path = tmp_path / "t.csv"
    assert read(path, ["50", text, "51", text]).tolist() == [50, pd.NA, 51, pd.NA]
    assert said == [
        f"{path}: row 2: age '{text}' (as are 1 more) is not an age, and counts as unknown; write years from 0 to 120, "
        "or an age as DICOM writes it (058Y, 011M)"
    ]


def test_an_official_table_may_have_impossible_ages():
    found = ages(pd.Series(["414", "058Y", "", "x", None, "7"]))
    assert found.tolist() == [pd.NA, 58, pd.NA, pd.NA, pd.NA, 7]
    assert ages(pd.Series([None, None], dtype=object)).isna().all()
