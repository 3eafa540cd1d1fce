"""NIH's official split: test_list.txt and train_val_list.txt beside the label table.

https://nihcc.app.box.com/v/ChestXray-NIHCC; no patient is in both.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.cells import is_missing, say
from trcgl.labels.file_names import stem_of
from trcgl.labels.name_lists import Matched, find_list, match_names, read_names, shape_of
from trcgl.runtime.errors import InputError

TEST, TRAIN_VAL = "test_list.txt", "train_val_list.txt"


def official_test(table: Path, images: pd.Series, patients: pd.Series) -> np.ndarray:
    """Which images of the table are official test images: bool; none if no list is beside it.

    The table may be a part of the data set: names of other images are counted in a line. With both lists each image of
    the table is in one of them.

    Args:
        table: the label table.
        images, patients: of its rows.

    Raises:
        InputError: a list cannot be read; a name is not an image's; the table has most of the names of the test list,
            but not all, and no second list shows that each image is named; an image is in both lists or in neither; a
            patient is divided; there is a training list alone.
    """
    files = {name: find_list(table.parent, name) for name in (TEST, TRAIN_VAL)}
    file, other = files[TEST], files[TRAIN_VAL]
    if file is None:
        if other is not None:
            raise InputError(f"{other}: {TEST} is not beside it; add it, or remove this list")
        return np.zeros(len(images), bool)
    test = _matched(file, images)
    if other is None:
        if test.strangers and len(test.strangers) < test.names - len(test.strangers):
            raise InputError(
                f"{file}: {test}; correct the list, or put {TRAIN_VAL} beside it, too: each image is then looked for"
            )
    else:
        _check_whole(file, other, images, test.named, _matched(other, images).named)
    _check_patients(file, images, patients, test.named)
    if test.strangers:
        say(f"{file}: {test}; the table is taken for a part of the data set")
    return test.named


def _matched(file: Path, images: pd.Series) -> Matched:
    matched = match_names(file, read_names(file), images)
    stems = set(images.map(stem_of)) if matched.strangers else set()
    shapes = set(map(shape_of, stems))
    # Also one that two images have, but for the suffix
    odd = [name for name in matched.strangers if shape_of(name) not in shapes or stem_of(name) in stems]
    if odd or not matched.named.any():
        first = odd[0] if odd else matched.strangers[0]
        raise InputError(
            f"{file}: the label table has {matched.names - len(matched.strangers)} of its {matched.names} names; the "
            f"first that is not the name of an image: '{first}'; correct the list, or remove it for a seeded split"
        )
    return matched


def _check_whole(file: Path, other: Path, images: pd.Series, test: np.ndarray, training: np.ndarray) -> None:
    for wrong, what in ((test & training, "in both"), (~test & ~training & (images != ""), "in neither")):
        if wrong.any():
            raise InputError(
                f"{file}: {int(wrong.sum())} images of the label table are {what} of {file.name} and {other.name}; the "
                f"first: '{images[wrong].iloc[0]}'; an image belongs into one of them"
            )


def _check_patients(file: Path, images: pd.Series, patients: pd.Series, test: np.ndarray) -> None:
    real = ~is_missing(patients) & (images != "").to_numpy(bool)
    in_test = patients.isin(patients[test & real]).to_numpy(bool) & ~test & real
    if in_test.any():
        raise InputError(
            f"{file}: names some images of a patient, but not '{images[in_test].iloc[0]}' of the same patient (nor "
            f"{int(in_test.sum()) - 1} more such images); the list is not whole: a patient belongs to one split"
        )
