"""Any folder of images with the user's own CSV table, as a canonical table (docs/datasets/folder.md).

A row is an image: `image` (file name, or path under the image folder) and `patient`; where known `study`, `projection`,
`sex`, `age` and `split` (train, val, test). The header shows in which of two ways labels are given:

- one column `labels` with names separated by '|': what is not named is absent; other columns are not read;
- or a column per finding with 1 present, 0 absent, -1 uncertain, blank unknown: every other column is one.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.ages import stated_ages
from trcgl.labels.cells import is_missing, name_key, say
from trcgl.labels.coded import assemble_coded, class_columns, first_no_code, read_codes, rows_of
from trcgl.labels.file_names import check_apart
from trcgl.labels.ids import read_ids
from trcgl.labels.listed import assemble_listed
from trcgl.labels.splits import SPLIT_NAMES, read_splits
from trcgl.labels.table import LabelTable
from trcgl.runtime.errors import InputError
from trcgl.tables import INDEX_NAME, check_header, check_spelling, column_texts, read_columns, read_header

REQUIRED = ("image", "patient")
SPLIT = "split"
OPTIONAL = ("study", "projection", "sex", "age", SPLIT)
LIST = "labels"
NORMAL = ("normal", "Normal", "No Finding", "No finding")
SEEM_NORMAL = frozenset(map(name_key, (
    "normal", "no finding", "no findings", "no abnormality", "no abnormalities", "no abnormality detected",
    "no acute abnormality", "healthy", "unremarkable", "clear", "nothing found", "negative", "sin hallazgos",
    "ohne Befund", "kein Befund", "unauff\u00e4llig", "unauffaellig", "sans particularit\u00e9", "RAS", "NAD",
)))  # fmt: skip
"""How else reports say that nothing was found, by `name_key`."""
WHAT = "a label table of one's own"
LEADS_OUT = r"^/|^[A-Za-z]:|(?:^|/)\.\.(?:/|$)"


def read_folder(path: str | Path) -> LabelTable:
    """Read the user's own label table.

    A path in `image` becomes the image's name with '_' for '/', and its file is the one whose path ends with that path.
    Rejected rows: image name missing, image name is a path (one that leads out of the folder), patient missing, labels
    missing, image listed twice.

    Raises:
        InputError: the file is not a readable CSV file with these columns; there is no label column; a column has other
            values; a column that is not read holds splits, or is one of these in another spelling; a split has another
            name; two files get the same name; patient ids are no longer exact (`read_ids`).
    """
    path = Path(path)
    about = (*REQUIRED, *OPTIONAL)
    header = read_header(path)
    check_header(path, header, REQUIRED, WHAT)
    findings = [] if LIST in header else class_columns(path, header, (*about, LIST))
    if LIST not in header and not findings:
        raise InputError(
            f"{path}: has no labels; give a column '{LIST}' with names separated by '|', or a column per finding with "
            f"1, 0, -1 or blank, beside {', '.join(about)}"
        )
    if LIST in header:
        _check_not_read(path, [name for name in header if name not in (*about, LIST)], header)
    wanted = [LIST] if LIST in header else findings
    source = read_columns(path, REQUIRED, (*wanted, *OPTIONAL), what=WHAT)
    rows = _rows(path, source)
    if not findings:
        table = assemble_listed(path, rows, source[LIST], normal=NORMAL)
        _say_normal(path, table.vocabulary, table.normal)
        return table
    codes = read_codes(source[findings])
    _check_codes(path, source[findings], codes)
    normal = next((name for name in NORMAL if name in findings), NORMAL[0])
    _say_normal(path, findings, normal)
    return assemble_coded(rows, codes, findings, source=path, normal=normal)


def _check_not_read(path: Path, others: Sequence[str], header: Sequence[str]) -> None:
    """Stop if a column that is not read may be one that is: by its name, or as it holds splits, and nothing else does.

    If such splits were not read, the model could be trained on the images that they keep for testing.
    """
    check_spelling(path, others, (*REQUIRED, *OPTIONAL, LIST))
    others = [name for name in dict.fromkeys(others) if not INDEX_NAME.fullmatch(name)]
    for name, texts in column_texts(path, others).items() if others and SPLIT not in header else ():
        stated = texts[~is_missing(texts)].str.lower()
        if len(stated) and stated.isin(SPLIT_NAMES).all():
            raise InputError(
                f"{path}: column '{name}' holds splits (the first: '{stated.iloc[0]}'), and there is no column "
                f"'{SPLIT}'; rename it to '{SPLIT}', or remove it"
            )


def _say_normal(path: Path, names: Sequence[str], normal: str) -> None:
    """Log a line for a name besides `normal` that seems to say "nothing found"."""
    for name in names:
        if name != normal and name_key(name) in SEEM_NORMAL:
            say(
                f"{path}: '{name}' is read as a finding; if it says that nothing was found, write '{normal}', or "
                "name it in 'labels.not_findings'"
            )


def _rows(path: Path, source: pd.DataFrame) -> pd.DataFrame:
    splits = read_splits(path, source[SPLIT], may_be_blank=True)
    stated = source["image"].str.replace("\\", "/", regex=False)
    files = stated.str.removeprefix("./")
    # `./0001.png` says that the file is at the top
    inside = stated.str.contains("/", regex=False) & ~files.str.contains(LEADS_OUT, regex=True)
    images = files.where(~inside, files.str.replace("/", "_", regex=False))
    check_apart(path, "image", files, images)
    return pd.DataFrame(
        {
            "row": np.arange(1, len(source) + 1),
            "image": images,
            "file": files.where(inside, ""),
            "patient": read_ids(path, "patient", source["patient"]),
            "study": source["study"],
            "projection": source["projection"],
            "sex": source["sex"],
            "age": stated_ages(path, "age", source["age"]),
            "split": splits,
        }
    )


def _check_codes(path: Path, columns: pd.DataFrame, codes: np.ndarray) -> None:
    wrong = first_no_code(columns, codes, rows_of([path], [columns]))
    if wrong:
        raise InputError(
            f"{wrong}; a column other than {', '.join((*REQUIRED, *OPTIONAL))} is a finding and holds 1, 0, -1 "
            "or blank: correct it, or remove the column"
        )
