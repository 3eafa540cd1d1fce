"""VinDr-CXR's image-level labels (image_labels_train.csv, image_labels_test.csv) as a canonical table.

https://physionet.org/content/vindr-cxr/1.0.0/ (Nguyen et al., Scientific Data 2022). Each training image was read by
three radiologists, a row each; the test images have one row, the consensus of five. All views are PA. No patient is
named, so each image counts as a patient of its own.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.cells import cleaned, without_missing
from trcgl.labels.coded import (
    ABSENT,
    NO_CODE,
    PRESENT,
    UNCERTAIN,
    UNSTATED,
    assemble_coded,
    check_coded,
    class_columns,
    read_codes,
    rows_of,
)
from trcgl.labels.file_names import SUFFIX, check_apart
from trcgl.labels.table import LabelTable
from trcgl.runtime.errors import InputError, and_more
from trcgl.tables import read_columns, read_header

TRAIN, TEST = "image_labels_train.csv", "image_labels_test.csv"
IMAGE, READER = "image_id", "rad_id"
READERS = (READER, "rad_ID")
"""The latter in VinDr-PCXR, the same of children."""
BOX_COLUMNS = ("class_name", "class_id", "x_min", "y_min", "x_max", "y_max")
"""Of annotations_train.csv and of the Kaggle competition's train.csv."""
RENAMED = {"Other disease": "Other diseases"}
"""The one column that the test file spells otherwise than the training file."""
WHAT = "a VinDr-CXR table of image labels"


def read_vindr(path: str | Path) -> LabelTable:
    """Read VinDr-CXR's image-level labels, merging the readers by majority.

    A finding is present if more readers mark it than do not, absent if fewer do, and uncertain if the numbers are equal
    (which cannot happen with three readers or a consensus). The table has a row per image, numbered in the order of the
    source. Rejected rows: a value that is not a code, a reader listed twice for an image, no label.

    Args:
        path: one of the two files, or their folder; images of the test file are then the test split.

    Raises:
        InputError: it is not such a file or folder, or a table of boxes; a column is not a finding; an image is in both
            files.
    """
    path = Path(path)
    files = [path / TRAIN, path / TEST] if path.is_dir() else [path]
    header = [RENAMED.get(name, name) for name in read_header(files[0])]
    boxes = sorted({*BOX_COLUMNS} & set(header))
    if boxes:
        raise InputError(
            f"{files[0]}: is a table of boxes (it has the column '{boxes[0]}'), not of image labels; give {TRAIN} and "
            f"{TEST}, or their folder"
        )
    findings = class_columns(files[0], header, (IMAGE, *READERS))
    parts = [_read(file, findings) for file in files]
    _check_apart(files, parts)
    source = pd.concat(parts, ignore_index=True)
    votes = read_codes(source[findings])
    check_coded(files[0], source[findings], votes, WHAT, rows_of(files, parts))
    images, names = pd.factorize(source[IMAGE])
    twice = np.zeros(len(names), bool)
    twice[images[source.duplicated([IMAGE, READER])]] = True
    rows = pd.DataFrame(
        {
            "row": np.arange(1, len(names) + 1),
            "image": pd.Series(names, dtype="str").map(lambda name: f"{name}.dicom" if name else ""),
            "patient": pd.Series(names, dtype="str"),
            "study": pd.Series(names, dtype="str"),
            "projection": "PA",
            "split": source["split"].groupby(images).first().to_numpy(),
        }
    )
    merged = _majority(votes, images, len(names))
    return assemble_coded(rows, merged, findings, source=path, normal="No finding", reasons=[("a reader twice", twice)])


def _read(file: Path, findings: list[str]) -> pd.DataFrame:
    header = read_header(file)
    spelled = {name: next((other for other in header if RENAMED.get(other) == name), name) for name in findings}
    reader = next((name for name in READERS if name in header), READER)
    source = read_columns(file, (IMAGE, *spelled.values()), (reader,), what=WHAT)
    source = source.rename(columns={other: name for name, other in spelled.items()} | {reader: READER})
    files = without_missing(cleaned(source[IMAGE], f"{file}: {IMAGE}"))
    names = files.str.replace(SUFFIX, "", regex=True)
    check_apart(file, IMAGE, files, names)
    return source.assign(**{IMAGE: names, "split": "test" if file.name == TEST else ""})


def _check_apart(files: list[Path], parts: list[pd.DataFrame]) -> None:
    """Stop if an image is in both files, because the model would be trained on a test image."""
    both = sorted(set.intersection(*(set(part[IMAGE]) - {""} for part in parts))) if len(parts) > 1 else []
    if both:
        raise InputError(
            f"{files[1]}: image '{both[0]}' is in {files[0].name} too{and_more(len(both) - 1)}; keep each image in one "
            "of them"
        )


def _majority(votes: np.ndarray, images: np.ndarray, count: int) -> np.ndarray:
    """The majority vote of the readers: int8 codes, images x findings.

    Args:
        votes: int8 codes, readings x findings.
        images: the index of each reading's image.
        count: number of images.
    """

    def counted(code: int) -> np.ndarray:
        total = np.zeros((count, votes.shape[1]), np.int32)
        np.add.at(total, images, votes == code)
        return total

    present, absent = counted(PRESENT), counted(ABSENT)
    merged = np.where(present > absent, PRESENT, np.where(present < absent, ABSENT, UNCERTAIN)).astype(np.int8)
    merged[(present + absent) == 0] = UNSTATED
    merged[counted(NO_CODE) > 0] = NO_CODE
    return merged
