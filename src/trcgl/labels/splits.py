"""The split of each patient: by a hash of the patient id, as stated by the data set, or from a given table.

A seeded split depends only on the seed and the patient's id. So adding rows moves no patient to another split, and a
patient is never in two splits.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from trcgl.labels.cells import is_missing
from trcgl.labels.ids import read_ids
from trcgl.numerics.seeding import unit_intervals
from trcgl.runtime.errors import InputError
from trcgl.tables import read_columns

SPLITS = ("train", "val", "test")
SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validate": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What tables call them, in small letters."""


def seeded_splits(
    patients: Iterable[str], *, seed: int, validation_fraction: float, test_fraction: float
) -> dict[str, str]:
    """The split of every patient: 'train', 'val' or 'test'; the fractions refer to patients and are approximate.

    The test split is assigned first, so another validation fraction moves no patient into or out of it.
    """
    patients = list(patients)
    places = unit_intervals("split", seed, names=patients)
    splits = np.select([places < test_fraction, places < test_fraction + validation_fraction], ["test", "val"], "train")
    return dict(zip(patients, splits.tolist(), strict=True))


def stated_splits(patients: pd.Series, splits: pd.Series, source: str) -> dict[str, str]:
    """The split of each patient for whom the data set states one.

    Args:
        patients, splits: patient and split of each image; "" where no split is stated. One image with a stated split
            decides for its patient.
        source: the label table, for messages.

    Raises:
        InputError: a patient is in several splits.
    """
    stated = pd.DataFrame({"patient": patients, "split": splits})[splits != ""]
    return _one_each(stated, source, "keep it in one, or give 'dataset.split_file'")


def read_split_file(path: str | Path) -> dict[str, str]:
    """The split of each patient in a CSV table with columns patient and split (see SPLIT_NAMES); others are ignored.

    Raises:
        InputError: the file is not such a table, a split has another name, a row has no patient id, or a patient has
            two different splits.
    """
    path = Path(path)
    table = read_columns(path, ("patient", "split"), what="a split table")
    patients = read_ids(path, "patient", table["patient"])
    nobody = is_missing(patients)
    if nobody.any():
        row = int(nobody.argmax())
        raise InputError(
            f"{path}: row {row + 1} (header not counted): patient '{patients.iloc[row]}' names nobody; remove this row"
        )
    splits = read_splits(path, table["split"])
    return _one_each(pd.DataFrame({"patient": patients, "split": splits}), str(path), "keep it in one")


def read_splits(
    path: Path, splits: pd.Series, *, may_be_blank: bool = False, more: Mapping[str, str] = MappingProxyType({})
) -> pd.Series:
    """The splits in a column, written as train, val and test, and "" for blank cells.

    Args:
        path: the table, for messages.
        may_be_blank: whether rows may leave their split blank.
        more: further names of splits -> train, val or test.

    Raises:
        InputError: a text that is not a split.
    """
    known = splits.str.lower().map(SPLIT_NAMES | dict(more))
    if may_be_blank:
        known = known.where(~is_missing(splits), "")
    if known.isna().any():
        row = int(known.isna().to_numpy().argmax())
        raise InputError(f"{path}: row {row + 1}: split '{splits.iloc[row]}' is unknown; it must be train, val or test")
    return known


def _one_each(table: pd.DataFrame, source: str, remedy: str) -> dict[str, str]:
    """The split of each patient in a table with columns patient and split; an InputError if a patient has two."""
    table = table.drop_duplicates(["patient", "split"])
    twice = table["patient"].duplicated(keep=False)
    if twice.any():
        patient = table.loc[twice, "patient"].iloc[0]
        listed = ", ".join(sorted(table.loc[table["patient"] == patient, "split"]))
        raise InputError(
            f"{source}: patient '{patient}' is listed in several splits ({listed}), so the test set leaks; {remedy}"
        )
    return dict(zip(table["patient"], table["split"], strict=True))
