"""Ids that stand for nobody: said where they hold so many images that they are hardly one patient's."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.label_tables import ADAPTERS, HAS_IDS, Meant, as_text, check, read, rows_of
from trcgl.labels.ids import read_ids
from trcgl.runtime.errors import InputError

PLACEHOLDERS = (
    "-1", "-9", "-99", "-999", "0", "000", "99", "999", "9999", "99999", "123", "12345", "123456789", "XXX", "test",
    "dummy", "pending", "TBD", "deleted", "redacted", "no id", "not known", "other", "True", "FALSE", "N", "yes",
)  # fmt: skip


def with_placeholder(name: str, count: int) -> Meant:
    """Twenty rows of ten patients, and in front of their last ten some of a placeholder."""
    what = Meant()
    for k in range(20 + count):
        who = name if 10 <= k < 10 + count else str(100 + (k if k < 10 else k - count) // 2)
        what.images.append(f"im{k:03d}.png")
        what.patients.append(who)
        what.labels.append({"Mass": k % 2, "Nodule": k % 3 % 2, "Edema": 1})
    return what


@pytest.mark.parametrize("name", PLACEHOLDERS)
@pytest.mark.parametrize("adapter", HAS_IDS)
def test_a_placeholder_of_many_images_is_said_with_count_and_row(
    adapter: str, name: str, tmp_path: Path, said: list[str]
):  # fmt: skip
    what = with_placeholder(name, 9)
    # A study's id is made of it
    text = as_text(ADAPTERS[adapter].columns, rows_of(ADAPTERS[adapter], what))
    check(read(adapter, tmp_path / "t.csv", text), what, adapter)
    lines = [line for line in said if f"{ADAPTERS[adapter].patient} '{name}' has 9 of 29 rows" in line]
    assert len(lines) == 1
    assert "t.csv: row 11: " in lines[0]


@pytest.mark.parametrize("name", ["999", "0", "test"])
def test_a_placeholder_of_few_images_is_a_patient(name: str, tmp_path: Path, said: list[str]):
    text = as_text(ADAPTERS["folder"].columns, rows_of(ADAPTERS["folder"], with_placeholder(name, 3)))
    assert (read("folder", tmp_path / "t.csv", text).rows["patient"] == name).sum() == 3
    assert said == []


def test_two_images_of_one_negative_number_are_said(said: list[str]):
    read_ids("t.csv", "patient", pd.Series(["1", "-1", "2", "-1", "3"], dtype="str"))
    assert "row 2: patient '-1' has 2 of 5 rows" in said[0]
    said.clear()
    # Where many are negative, a minus is part of the id
    read_ids("t.csv", "patient", pd.Series([f"-{k}" for k in range(10, 30)] * 2, dtype="str"))
    assert said == []


def test_any_id_of_ten_times_the_images_of_others_is_said(said: list[str]):
    ids = pd.Series([*map(str, range(1000, 2000)), *["St. Mary"] * 60], dtype="str")
    read_ids("t.csv", "patient", ids)
    assert "row 1001: patient 'St. Mary' has 60 of 1060 rows" in said[0]


def test_ids_of_a_large_data_set_are_not_said(said: list[str]):
    """Images per patient as in NIH's table: most have one or two, some a hundred; 99, 999 and 9999 are patients."""
    counts = np.random.default_rng(0).zipf(1.9, 30_000).clip(1, 184)
    ids = pd.Series(np.repeat(np.arange(1, 30_001), counts).astype(str), dtype="str")
    ids = ids[~ids.isin([name for name, count in Counter(ids).items() if name in PLACEHOLDERS and count > 9])]
    read_ids("t.csv", "Patient ID", ids.reset_index(drop=True))
    assert said == []


@pytest.mark.parametrize(
    "name",
    ["12:30", "9:05", "12:30:15", "1:30 PM", "100:00:00", "Mar-05", "05-Mar", "2001-03-05", "03/05/2001", "5.3.2001",
     "2001-03-05 00:00:00", "05-ene", "Dez-05", "05-f\u00e9vr", "3-Mai"],
)  # fmt: skip
@pytest.mark.parametrize("adapter", HAS_IDS)
def test_what_a_spreadsheet_makes_of_an_id_stops(adapter: str, name: str, tmp_path: Path):
    text = as_text(ADAPTERS[adapter].columns, rows_of(ADAPTERS[adapter], with_placeholder(name, 1)))
    with pytest.raises(InputError, match=r"row 11: .* is a (date|time of day), not an id; export"):
        read(adapter, tmp_path / "t.csv", text)


@pytest.mark.parametrize("name", ["1/2", "MAR-12", "A12:30", "12:75", "12-3", "P-999", "99-1", "0-1", "-", "12.30.1"])
def test_what_may_be_an_id_is_one(name: str, said: list[str]):
    ids = pd.Series(["7", name, "8"], dtype="str")
    assert read_ids("t.csv", "patient", ids).tolist() == ids.tolist()
    assert said == []
