"""Splits by patient, split files, and groups by prevalence."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.labels_files import write_rows
from trcgl.labels.groups import group_of
from trcgl.labels.splits import read_split_file, seeded_splits
from trcgl.runtime.errors import InputError

patients = st.lists(st.text(min_size=1, max_size=8), max_size=30)
fractions = st.floats(0, 0.45)


@given(patients, patients, st.integers(0, 99), fractions, fractions)
def test_more_patients_move_nobody(some: list[str], more: list[str], seed: int, val: float, test: float) -> None:
    before = seeded_splits(some, seed=seed, validation_fraction=val, test_fraction=test)
    after = seeded_splits([*more, *some], seed=seed, validation_fraction=val, test_fraction=test)
    assert before.items() <= after.items()


@given(patients, st.integers(0, 99), fractions, fractions, fractions)
def test_another_validation_fraction_leaves_the_test_set(
    some: list[str], seed: int, val: float, other: float, test: float
) -> None:
    first = seeded_splits(some, seed=seed, validation_fraction=val, test_fraction=test)
    second = seeded_splits(some, seed=seed, validation_fraction=other, test_fraction=test)
    assert {p for p in first if first[p] == "test"} == {p for p in second if second[p] == "test"}


@pytest.mark.parametrize("seed", [0, 1])
def test_fractions_are_roughly_right(seed: int) -> None:
    names = [str(number) for number in range(20_000)]
    splits = list(seeded_splits(names, seed=seed, validation_fraction=0.1, test_fraction=0.2).values())
    # Five standard deviations of a binomial
    assert splits.count("val") == pytest.approx(2000, abs=5 * (20_000 * 0.1 * 0.9) ** 0.5)
    assert splits.count("test") == pytest.approx(4000, abs=5 * (20_000 * 0.2 * 0.8) ** 0.5)


def test_another_seed_is_another_split() -> None:
    names = [str(number) for number in range(200)]
    assert seeded_splits(names, seed=0, validation_fraction=0.3, test_fraction=0.3) != seeded_splits(
        names, seed=1, validation_fraction=0.3, test_fraction=0.3
    )


def split_file(path: Path, *rows: tuple[str, str]) -> Path:
    listed = ({"patient": patient, "split": split, "note": "x"} for patient, split in rows)
    return write_rows(path / "splits.csv", ["note", "patient", "split"], listed)


def test_a_split_file_is_read_as_text(tmp_path: Path) -> None:
    file = split_file(tmp_path, ("007", "train"), (" 7", "validation"), ("8", "test"), ("007", "train"))
    assert read_split_file(file) == {"007": "train", "7": "val", "8": "test"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "train"), ("b", "dev")], "row 2: split 'dev' is unknown; it must be train, val or test"),
        ([("a", "train"), ("b", "val"), ("a", "test")], r"patient 'a' is listed in several splits \(test, train\)"),
        ([("a", "tr\nain")], "row 1: column 'split' holds a line break; close the quote there"),
        ([("a", "tr\x0bain")], "row 1: split 'tr ain' is unknown; it must be train, val or test$"),
        ([("a", "train"), ("NA", "val")], r"row 2 \(header not counted\): patient 'NA' names nobody; remove this row"),
        ([("1.5e+38", "train")], "row 1: patient '1.5e\\+38' is a rounded number"),
    ],
)
def test_a_split_file_that_leaks_or_is_misspelt_stops(
    tmp_path: Path, rows: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(InputError, match=rf"splits\.csv: {message}"):
        read_split_file(split_file(tmp_path, *rows))


@pytest.mark.parametrize(
    ("prevalence", "tail_findings", "group"),
    [
        (0.2, None, "head"),
        (0.1, None, "medium"),
        (0.01, None, "medium"),
        (0.0099, None, "tail"),
        (0.2, ["mass"], "tail"),
        (0.2, ["other"], "head"),
        (0.0001, ["other"], "medium"),
        (0.0001, [], "medium"),
    ],
)
def test_groups(prevalence: float, tail_findings: list[str] | None, group: str) -> None:
    given = group_of("mass", prevalence, head_above=0.1, tail_below=0.01, tail_findings=tail_findings)
    assert given == group
