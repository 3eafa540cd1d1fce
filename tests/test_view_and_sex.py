"""View and sex in many spellings: as many subgroups as are meant, or a line."""

from collections import Counter
from pathlib import Path

import pytest

from tests.label_tables import as_text
from trcgl.labels.adapters import read_table
from trcgl.labels.table import LabelTable
from trcgl.runtime.errors import InputError

COLUMNS = ["image", "patient", "projection", "sex", "labels"]


def read(path: Path, sexes: list[str], views: list[str]) -> LabelTable:
    rows = [
        {"image": f"{k}.png", "patient": str(k), "labels": "Mass", "sex": sex, "projection": view}
        for k, (sex, view) in enumerate(zip(sexes, views, strict=True))
    ]
    path.write_text(as_text(COLUMNS, rows), encoding="utf-8")
    return read_table("folder", path)


@pytest.mark.parametrize(
    ("male", "female"),
    [
        ("M", "F"), ("m", "f"), ("male", "female"), ("Male", "Female"), ("MALE", "FEMALE"), ("man", "woman"),
        ("hombre", "mujer"), ("Masculino", "Femenino"), ("homme", "femme"), ("Masculin", "F\u00e9minin"), ("H", "F"),
        ("m\u00e4nnlich", "weiblich"), ("M", "W"), ("maschio", "femmina"), ("var\u00f3n", "mujer"),
    ],
)  # fmt: skip
def test_sexes_are_two_whatever_the_words(male: str, female: str, tmp_path: Path, said: list[str]):
    table = read(tmp_path / "t.csv", [male, female, male, "", "O", "nan"], ["PA"] * 6)
    assert Counter(table.rows["sex"]) == {"M": 2, "F": 1, "": 2, "O": 1}
    words = [word for word, usual in ((male, "M"), (female, "F")) if word != usual]
    row = 1 if male != "M" else 2
    line = f"sex: '{words[0]}' of row {row} is read as {'MF'[row - 1]}; in all, " if words else ""
    assert said == ([f"{line}{len(words)} different words are read as M or F"] if words else [])


def test_spellings_side_by_side_are_one_subgroup(tmp_path: Path):
    table = read(tmp_path / "t.csv", ["M", "male", "m", "F", "Female", "W"], ["PA"] * 6)
    assert Counter(table.rows["sex"]) == {"M": 3, "F": 3}


@pytest.mark.parametrize("one", ["H", "h", "V"])
@pytest.mark.parametrize("other", ["M", "m"])
def test_an_m_that_may_be_a_woman_stops(one: str, other: str, tmp_path: Path):
    """Hombre or varon and mujer, or homme and male."""
    with pytest.raises(InputError, match=rf"t\.csv: row 2: sex is '{one}', so 'M' may be male or mujer"):
        read(tmp_path / "t.csv", [other, one, other], ["PA"] * 3)


@pytest.mark.parametrize(("sex", "count"), [("0", 1), ("X", 1), ("divers", 1)])
def test_other_words_stay(sex: str, count: int, tmp_path: Path, said: list[str]):
    table = read(tmp_path / "t.csv", ["M", sex], ["PA"] * 2)
    assert Counter(table.rows["sex"])[sex] == count
    assert said == []


@pytest.mark.parametrize("other", ["pa", "Pa", "P.A.", "P A", "PA."])
def test_a_view_in_two_spellings_is_said(other: str, tmp_path: Path, said: list[str]):
    table = read(tmp_path / "t.csv", ["M"] * 3, ["PA", "AP", other])
    assert Counter(table.rows["projection"]) == {"PA": 1, "AP": 1, other: 1}
    assert said == [
        f"projection: '{other}' of row 3 is 'PA' of row 1 in another spelling, and counts as another value; "
        "write them in one way"
    ]
