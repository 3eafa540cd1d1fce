"""NIH's official split: test_list.txt and train_val_list.txt beside the label table, or the same with _NIH.

https://nihcc.app.box.com/v/ChestXray-NIHCC; no patient is in both lists.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.cells import is_missing, say
from trcgl.labels.file_names import stem_of
from trcgl.labels.name_lists import Matched, find_list, match_names, read_names, shape_of
from trcgl.runtime.errors import InputError, and_more

TEST, TRAIN_VAL = "test_list.txt", "train_val_list.txt"
OTHER_NAMES = {TEST: "test_list_NIH.txt", TRAIN_VAL: "train_val_list_NIH.txt"}
"""Names of the official lists beside smaller copies of the images."""


def official_test(table: Path, images: pd.Series, patients: pd.Series) -> np.ndarray:
    """Which images of the table are official test images: bool; none if there is no list beside the table.

    The table may be a part of the data set: a log line then counts the listed images that it lacks. If both lists are
    there, each image of the table must be in exactly one of them.

    Args:
        table: the label table.
        images, patients: image and patient of each row.

    Raises:
        InputError: a list cannot be read; a name does not look like an image's; without the second list, the table has
            most but not all names of the test list; an image is in both lists or in neither; a patient has both test
            images and others; there is only the training list.
    """
    files = {name: find_list(table.parent, name, other) for name, other in OTHER_NAMES.items()}
    file, other = files[TEST], files[TRAIN_VAL]
    if file is None:
        if other is not None:
            raise InputError(f"{other}: {TEST} is not beside it; add it, or remove this list")
        return np.zeros(len(images), bool)
    drop = f"remove {'it' if other is None else 'both lists'} to do without the official split"
    test = _matched(file, images, drop)
    if other is None:
        if test.strangers and len(test.strangers) < test.names - len(test.strangers):
            raise InputError(
                f"{file}: {test}; correct the list, or put {TRAIN_VAL} beside it, so that every image can be checked"
            )
    else:
        _check_whole(file, other, images, test.named, _matched(other, images, drop).named)
    _check_patients(file, images, patients, test.named)
    if test.strangers:
        say(f"{file}: {test}; the table is taken for a part of the data set")
    return test.named


def _matched(file: Path, images: pd.Series, drop: str) -> Matched:
    """The images that a list names.

    Args:
        drop: how to do without the list, for messages.

    Raises:
        InputError: the list names no image of the table, has a name of another form, or has a name that fits several
            images.
    """
    matched = match_names(file, read_names(file), images)
    if not matched.named.any():
        raise InputError(f"{file}: {matched}; give the list of this data set, or {drop}")
    stems = set(images.map(stem_of)) if matched.strangers else set()
    shapes = set(map(shape_of, stems))
    for name in matched.strangers:
        if stem_of(name) in stems:
            several = "fits several images of the label table, which differ in suffix"
            raise InputError(f"{file}: '{name}' {several}; write the suffix as there, or {drop}")
        if shape_of(name) not in shapes:
            raise InputError(f"{file}: '{name}' is not named like the images of the label table; correct it, or {drop}")
    return matched


def _check_whole(file: Path, other: Path, images: pd.Series, test: np.ndarray, training: np.ndarray) -> None:
    both, neither = f"both {file.name} and {other.name}", f"neither {file.name} nor {other.name}"
    for wrong, what in ((test & training, both), (~test & ~training & (images != ""), neither)):
        if wrong.any():
            raise InputError(
                f"{file}: image '{images[wrong].iloc[0]}' of the label table is in {what}"
                f"{and_more(int(wrong.sum()) - 1)}; list each image in one of them"
            )


def _check_patients(file: Path, images: pd.Series, patients: pd.Series, test: np.ndarray) -> None:
    real = ~is_missing(patients) & (images != "").to_numpy(bool)
    in_test = patients.isin(patients[test & real]).to_numpy(bool) & ~test & real
    if in_test.any():
        more = f" (nor {in_test.sum() - 1} more such images)" if in_test.sum() > 1 else ""
        raise InputError(
            f"{file}: names some images of a patient, but not '{images[in_test].iloc[0]}' of the same patient"
            f"{more}; add what is missing, for a patient belongs to one split"
        )
