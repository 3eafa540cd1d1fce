"""A name that says whether a finding is there is never a second finding beside it, in any adapter."""

from pathlib import Path

import pytest

from tests.label_tables import ADAPTERS, LISTED, ROWS, as_text, check, meant, read, rows_of
from trcgl.runtime.errors import InputError

SAID = (
    "no Mass", "No mass", "NO MASS", "no_Mass", "not Mass", "non Mass", "without Mass", "Mass absent",
    "absence of Mass", "Mass: negative", "negative for Mass", "no evidence of Mass", "no sign of Mass", "Mass - no",
    "Mass (no)",
    "Mass excluded", "r/o Mass", "R/O Mass", "rule out Mass", "possible Mass", "Mass (possible)", "probable Mass",
    "Mass, likely", "suspected Mass", "suspicious for Mass", "Mass uncertain", "Mass: yes", "Mass positive",
    "Mass present", "definite Mass", "sin Mass", "posible Mass", "sospecha de Mass", "pas de Mass", "sans Mass",
    "keine Mass", "Verdacht auf Mass", "denies Mass",
)  # fmt: skip
ASKED = ("Mass?", "?Mass", "Mass ?", "Mass (?)", "Mass??", "\u00bfMass?", "Mass\uff1f", "M?ss", "M\ufffdss")
MARKED = ("(Mass)", "Mass*", "Mass **", "~Mass", "#Mass", "Mass!", "\u00b1Mass", "\u2022 Mass", "Mass\u2020", "{Mass}")
BESIDE_OTHERS = ("Mass (R)", "signs of Mass", "Massive", "No Finding", "no fracture", "presence", "of")
"""Names of their own: nothing in the table says what else they could be."""
COLUMNED = ("folder", "cxrlt", "mimic", "vindr")
"""Adapters that take every other column for a finding."""


def listed(name: str, tmp_path: Path, *labels: str):
    """A table that has these labels in its last rows, and Mass in others."""
    adapter = ADAPTERS[name]
    rows = rows_of(adapter, meant())
    # The rows before keep their labels
    for row, label in zip(reversed(rows), labels, strict=False):
        row[adapter.label] = str([label]) if name == "padchest" else label
    return read(name, tmp_path / "t.csv", as_text(adapter.columns, rows))


def columned(name: str, tmp_path: Path, other: str):
    adapter = ADAPTERS[name]
    rows = [row | {other: str(k % 2)} for k, row in enumerate(rows_of(adapter, meant()))]
    return read(name, tmp_path / "t.csv", as_text([*adapter.columns, other], rows))


@pytest.mark.parametrize("label", SAID)
@pytest.mark.parametrize("name", LISTED)
def test_a_label_that_says_whether_another_is_there_stops(name: str, label: str, tmp_path: Path):
    wrong = "(would be a second finding beside 'Mass'|seems to be several)"
    with pytest.raises(InputError, match=rf"(?i)row {ROWS}: .* {wrong}") as caught:
        listed(name, tmp_path, label)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("label", SAID)
@pytest.mark.parametrize("name", COLUMNED)
def test_a_column_that_says_whether_another_is_there_stops(name: str, label: str, tmp_path: Path):
    with pytest.raises(InputError, match=r"(?i)column '.*' would be a second finding beside 'Mass'"):
        columned(name, tmp_path, label)


@pytest.mark.parametrize("label", ASKED)
@pytest.mark.parametrize("name", [*LISTED, *COLUMNED])
def test_a_question_mark_stops(name: str, label: str, tmp_path: Path):
    with pytest.raises(InputError, match=r"has a question mark|first line is not text"):
        (listed if name in LISTED else columned)(name, tmp_path, label)


@pytest.mark.parametrize("label", MARKED)
@pytest.mark.parametrize("name", [*LISTED, *COLUMNED])
def test_a_mark_around_a_name_makes_no_second_finding(name: str, label: str, tmp_path: Path):
    with pytest.raises(InputError, match=r"in another spelling|in two spellings|bracket on one side"):
        (listed if name in LISTED else columned)(name, tmp_path, label)


@pytest.mark.parametrize("label", BESIDE_OTHERS)
@pytest.mark.parametrize("name", LISTED)
def test_a_name_of_its_own_is_one(name: str, label: str, tmp_path: Path):
    table = listed(name, tmp_path, label)
    assert label in table.vocabulary
    assert table.positives[table.positives["label"] == label]["row"].tolist() == [ROWS]


@pytest.mark.parametrize("name", [*LISTED, *COLUMNED])
def test_names_without_such_words_are_read_as_they_stand(name: str, tmp_path: Path):
    adapter, what = ADAPTERS[name], meant()
    check(read(name, tmp_path / "t.csv", as_text(adapter.columns, rows_of(adapter, what))), what, name)
