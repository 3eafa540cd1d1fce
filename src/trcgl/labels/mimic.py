"""Label tables of MIMIC-CXR-JPG's images as a canonical table.

There are two kinds, recognised by the header:

- a row per image: MIMIC-CXR-LT (19 classes) and CXR-LT 2023 (26) and 2024 (40 or 45), in one file, or in one each for
  training, development and test. https://physionet.org/content/cxr-lt-iccv-workshop-cvamd/ (Holste et al.)
- a row per study, with CheXpert's 14 labels: mimic-cxr-2.0.0-chexpert.csv and -negbio.csv, which come with
  https://physionet.org/content/mimic-cxr-jpg/ (Johnson et al.); the list of images (-metadata.csv) and the official
  split (-split.csv) lie beside it.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.cells import cleaned, without_missing
from trcgl.labels.chexpert import FINDINGS, NO_FINDING, infer_absent
from trcgl.labels.coded import assemble_coded, check_coded, class_columns, read_codes, rows_of, warn_no_codes
from trcgl.labels.file_names import SUFFIX, check_apart
from trcgl.labels.ids import read_ids
from trcgl.labels.splits import read_splits
from trcgl.labels.table import LabelTable
from trcgl.runtime.errors import InputError, and_more
from trcgl.tables import read_columns, read_header

IDS = ("dicom_id", "subject_id", "study_id")
PATHS = ("fpath", "path")
NO_CLASS = (*IDS, *PATHS, "ViewPosition", "ViewCodeSequence_CodeMeaning", "split")
ID_PATTERN = r"p(?P<subject_id>\d+)[/\\]s(?P<study_id>\d+)[/\\](?P<dicom_id>[^/\\]+)$"
MORE_SPLITS = {"development": "val"}
EDITIONS = (
    ("train_labeled.csv", "development_labeled_task1.csv", "test_labeled_task1.csv"),
    ("train.csv", "development.csv", "test.csv"),
    *(tuple(f"miccai2023_mimic-cxr-lt_labels_{part}.csv" for part in ("train", "val", "test")),),
)
"""Label files of CXR-LT 2024 (task 1), CXR-LT 2023 and MIMIC-CXR-LT: training, development, test."""
WHAT = "a CXR-LT or MIMIC-CXR-LT label table"


def read_mimic(path: str | Path) -> LabelTable:
    """Read a label table of MIMIC-CXR-JPG's images.

    An image is called <dicom_id>.jpg. Rows of several files are numbered continuously in the order training,
    development, test. Rejected rows: an id missing, a value that is not a code, no label, duplicate image.

    Args:
        path: a file, or a folder with the three files of one edition.

    Raises:
        InputError: it is not such a file or folder; a column is not a class; or the list of images that a table of
            studies needs is missing.
    """
    path = Path(path)
    if path.is_dir():
        files = next((names for names in EDITIONS if (path / names[0]).exists()), None)
        if files is None:
            known = " or ".join(names[0] for names in EDITIONS)
            raise InputError(f"{path}: holds no {known}; give the folder of {WHAT}, or the file itself")
        return _of_images(path, [path / name for name in files], ("train", "val", "test"))
    header = read_header(path)
    if "study_id" in header and not {"dicom_id", *PATHS} & set(header):
        return _of_studies(path)
    return _of_images(path, [path], ("",))


def _of_images(path: Path, files: list[Path], splits: tuple[str, ...]) -> LabelTable:
    classes = class_columns(files[0], read_header(files[0]), NO_CLASS)
    parts = [_part(file, classes).assign(part=split) for file, split in zip(files, splits, strict=True)]
    source = pd.concat(parts, ignore_index=True)
    codes = read_codes(source[classes])
    check_coded(files[0], source[classes], codes, WHAT, rows_of(files, parts))
    normal = "Normal" if "Normal" in classes else NO_FINDING
    stated = [
        read_splits(file, part["split"], may_be_blank=True, more=MORE_SPLITS)
        for file, part in zip(files, parts, strict=True)
    ]
    split = pd.concat(stated, ignore_index=True)
    _check_splits(files, parts, splits, stated)
    rows = _rows(source, split.where(source["part"] == "", source["part"]))
    return assemble_coded(rows, codes, classes, source=path, normal=normal)


def _check_splits(
    files: list[Path], parts: list[pd.DataFrame], splits: tuple[str, ...], stated: list[pd.Series]
) -> None:
    """Raise an InputError if a row states another split than that of its file."""
    for file, part, of_file, own in zip(files, parts, splits, stated, strict=True):
        other = np.flatnonzero((own != "") & (own != of_file)) if of_file else []
        if len(other):
            text = part["split"].iloc[other[0]]
            raise InputError(
                f"{file}: row {other[0] + 1}: split '{text}'{and_more(len(other) - 1)}, but this is the file of the "
                f"{of_file} images; correct one of them, or give a single file of all images with its column split"
            )


def _part(file: Path, classes: list[str]) -> pd.DataFrame:
    """The ids, view, split and classes of one file."""
    header = read_header(file)
    optional = ("ViewPosition", "split")
    if set(IDS) <= set(header):
        return _with_ids(file, read_columns(file, (*IDS, *classes), optional, what=WHAT))
    column = next((name for name in PATHS if name in header), PATHS[0])
    source = read_columns(file, (column, *classes), optional, what=WHAT)
    ids = source[column].str.extract(ID_PATTERN).fillna("")
    return _with_ids(file, pd.concat([source, ids], axis=1))


def _with_ids(file: Path, source: pd.DataFrame) -> pd.DataFrame:
    """The table with its ids in the form that all files share: whole numbers, and image ids without a suffix."""
    for column in set(IDS) & set(source):
        if column == "dicom_id":
            names = cleaned(source[column], f"{file}: {column}")
            ids = names.str.replace(SUFFIX, "", regex=True)
            check_apart(file, column, names, ids)
        else:
            ids = read_ids(file, column, source[column])
        source[column] = without_missing(ids)
    return source


def _of_studies(path: Path) -> LabelTable:
    what = "MIMIC-CXR-JPG's table of CheXpert labels"
    labels = _with_ids(path, read_columns(path, ("subject_id", "study_id", *FINDINGS), what=what))
    twice = (labels["study_id"].duplicated() & (labels["study_id"] != "")).to_numpy(bool)
    if twice.any():
        row = int(twice.argmax())
        raise InputError(f"{path}: row {row + 1}: study '{labels['study_id'].iloc[row]}' has a row already; keep one")
    file = _beside(path, "metadata")
    if file is None:
        raise InputError(
            f"{path}: the list of images, mimic-cxr-2.0.0-metadata.csv.gz, is not beside it; download it to this folder"
        )
    images = _with_ids(file, read_columns(file, (*IDS, "ViewPosition"), what="MIMIC-CXR-JPG's list of images"))
    _check_studies(path, labels, file, images)
    split_file = _beside(path, "split")
    if split_file is None:
        _check_no_other_split(path)
    images["split"] = "" if split_file is None else _official_split(split_file, images["dicom_id"])
    # An outer join, so that a study without listed images becomes a rejected row and is not lost silently
    labels = labels.drop(columns="subject_id").assign(label_row=np.arange(len(labels)))
    images["image_row"] = np.arange(len(images))
    # Rows without a study id belong to no others, nor to each other
    known = [table["study_id"] != "" for table in (images, labels)]
    joined = images[known[0]].merge(labels[known[1]], on="study_id", how="outer")
    source = pd.concat([joined, images[~known[0]], labels[~known[1]]])
    # Rows in the order of the list of images, then those of the studies without one, in the order of their table
    source = source.sort_values(["image_row", "label_row"], ignore_index=True).drop(columns="image_row")
    label_row = source.pop("label_row")
    unlabelled = label_row.isna().to_numpy(bool)
    source = source.fillna("")
    no_study = (source["study_id"] == "").to_numpy(bool)
    codes = read_codes(source[list(FINDINGS)])
    place = rows_of([path], [labels])
    warn_no_codes(source[list(FINDINGS)], codes, lambda row: place(int(label_row[row])))
    infer_absent(codes, FINDINGS)
    return assemble_coded(
        _rows(source, source["split"]),
        codes,
        FINDINGS,
        source=path,
        normal=NO_FINDING,
        reasons=[("study id missing", no_study), ("no labels of this study", unlabelled)],
    )


def _check_studies(path: Path, labels: pd.DataFrame, file: Path, images: pd.DataFrame) -> None:
    """Stop if the two files have no study in common, or assign one study to different patients."""
    known = labels[labels["study_id"] != ""].set_index("study_id")["subject_id"]
    theirs = images["study_id"].map(known)
    if theirs.isna().all():
        raise InputError(
            f"{path}: none of its studies (such as '{next(iter(known.index), '')}') is in {file.name}; give the two "
            "files of one release, with ids as text"
        )
    other = (theirs.notna() & (theirs != images["subject_id"])).to_numpy(bool)
    if other.any():
        row = int(other.argmax())
        raise InputError(
            f"{file}: row {row + 1}: study '{images['study_id'].iloc[row]}' is of patient "
            f"'{images['subject_id'].iloc[row]}' here and of '{theirs.iloc[row]}' in {path.name}"
            f"{and_more(int(other.sum()) - 1)}; give the two files of one release"
        )


def _official_split(file: Path, images: pd.Series) -> pd.Series:
    """The split of each image; every image must have one."""
    table = _with_ids(file, read_columns(file, ("dicom_id", "split"), what="MIMIC-CXR-JPG's split"))
    table["split"] = read_splits(file, table["split"], more=MORE_SPLITS)
    table = table.drop_duplicates()
    twice = table["dicom_id"].duplicated() & (table["dicom_id"] != "")
    if twice.any():
        raise InputError(f"{file}: image '{table.loc[twice, 'dicom_id'].iloc[0]}' is in two splits; keep it in one")
    split = images.map(table[table["dicom_id"] != ""].set_index("dicom_id")["split"])
    unnamed = split.isna() & (images != "")
    if unnamed.any():
        raise InputError(
            f"{file}: has a split for {int(split.notna().sum())} of {len(images)} images, not for "
            f"'{images[unnamed].iloc[0]}'; give the split of the same release, or remove the file to do without it"
        )
    return split.fillna("")


def _beside(path: Path, part: str) -> Path | None:
    """The file of MIMIC-CXR-JPG for `part`, from any release, compressed or not; None if there is none."""
    usual = (f"mimic-cxr-2.0.0-{part}.csv.gz", f"mimic-cxr-2.0.0-{part}.csv")
    release = re.compile(rf"mimic-cxr-\d+(\.\d+)*-{part}\.csv(\.gz)?")
    others = sorted(other.name for other in path.parent.iterdir() if release.fullmatch(other.name))
    return next((path.parent / name for name in (*usual, *others) if (path.parent / name).exists()), None)


def _check_no_other_split(path: Path) -> None:
    """Stop if the official split lies beside a table under an unexpected name.

    Raises:
        InputError: there is such a file. If it were not used, the model could be trained on official test images.
    """
    for other in sorted(path.parent.iterdir()):
        if other == path or not re.search(r"\.csv(\.gz)?$", other.name, re.IGNORECASE) or not other.is_file():
            continue
        try:
            header = read_header(other)
        except InputError:
            continue
        if {"dicom_id", "split"} <= set(header) <= {*IDS, "split", ""}:
            raise InputError(
                f"{other}: seems to be the official split of MIMIC-CXR-JPG; rename it to mimic-cxr-2.0.0-split.csv, or "
                "move it elsewhere"
            )


def _rows(source: pd.DataFrame, split: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "row": np.arange(1, len(source) + 1),
            "image": (source["dicom_id"] + ".jpg").where(source["dicom_id"] != "", ""),
            "folder": "s" + source["study_id"],
            "patient": source["subject_id"],
            "study": source["study_id"],
            "projection": source["ViewPosition"],
            "split": split,
        }
    )
