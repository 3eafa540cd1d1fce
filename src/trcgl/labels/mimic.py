"""Label tables of MIMIC-CXR-JPG's images as a canonical table.

Of two kinds, known by the header:

- a row an image: MIMIC-CXR-LT (19 classes) and CXR-LT 2023 (26) and 2024 (40 or 45), in one file, or in one each for
  training, development and test. https://physionet.org/content/cxr-lt-iccv-workshop-cvamd/ (Holste et al.)
- a row a study, with CheXpert's 14 labels: mimic-cxr-2.0.0-chexpert.csv and -negbio.csv, which come with
  https://physionet.org/content/mimic-cxr-jpg/ (Johnson et al.); the list of images (-metadata.csv) and the official
  split (-split.csv) lie beside it.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.chexpert import FINDINGS, NO_FINDING, infer_absent
from trcgl.labels.coded import assemble_coded, check_coded, read_codes
from trcgl.labels.table import LabelTable, check_patient_ids
from trcgl.runtime.errors import InputError
from trcgl.tables import read_columns, read_header

IDS = ("dicom_id", "subject_id", "study_id")
PATHS = ("fpath", "path")
NO_CLASS = (*IDS, *PATHS, "ViewPosition", "ViewCodeSequence_CodeMeaning", "split", "", "Unnamed: 0")
ID_PATTERN = r"p(?P<subject_id>\d+)/s(?P<study_id>\d+)/(?P<dicom_id>[^/]+)\.jpg$"
SPLIT_NAMES = {
    "train": "train", "val": "val", "validate": "val", "validation": "val", "development": "val", "test": "test", "": ""
}  # fmt: skip
EDITIONS = (
    ("train_labeled.csv", "development_labeled_task1.csv", "test_labeled_task1.csv"),
    ("train.csv", "development.csv", "test.csv"),
    *(tuple(f"miccai2023_mimic-cxr-lt_labels_{part}.csv" for part in ("train", "val", "test")),),
)
"""Label files of CXR-LT 2024 (task 1), CXR-LT 2023 and MIMIC-CXR-LT: training, development, test."""
WHAT = "a CXR-LT or MIMIC-CXR-LT label table"


def read_mimic(path: str | Path) -> LabelTable:
    """Read a label table of MIMIC-CXR-JPG's images.

    An image is called <dicom_id>.jpg. Rows of several files are numbered through, in the order training, development,
    test. Rejected rows: an id missing, a value that is not a code, no label, duplicate image.

    Args:
        path: a file, or a folder with the three files of one edition.

    Raises:
        InputError: not such a file or folder, a column that is not a class, or (of studies) no list of images.
    """
    path = Path(path)
    if path.is_dir():
        files = next((names for names in EDITIONS if (path / names[0]).exists()), None)
        if files is None:
            known = " or ".join(names[0] for names in EDITIONS)
            raise InputError(f"{path}: holds no {known}; give the folder of {WHAT}, or the file itself")
        return _of_images([path / name for name in files], ("train", "val", "test"))
    header = read_header(path)
    if "study_id" in header and not {"dicom_id", *PATHS} & set(header):
        return _of_studies(path)
    return _of_images([path], ("",))


def _of_images(files: list[Path], splits: tuple[str, ...]) -> LabelTable:
    classes = [name for name in read_header(files[0]) if name not in NO_CLASS]
    parts = [_part(file, classes).assign(part=split) for file, split in zip(files, splits, strict=True)]
    source = pd.concat(parts, ignore_index=True)
    codes = read_codes(source[classes])
    check_coded(files[0], source[classes], codes, WHAT)
    normal = "Normal" if "Normal" in classes else NO_FINDING
    split = _splits(files[0], source["split"])
    return assemble_coded(
        _rows(source, split.where(source["part"] == "", source["part"])), codes, classes, normal=normal
    )


def _part(file: Path, classes: list[str]) -> pd.DataFrame:
    """The ids, view, split and classes of one file."""
    header = read_header(file)
    optional = ("ViewPosition", "split")
    if set(IDS) <= set(header):
        return _checked(file, read_columns(file, (*IDS, *classes), optional, what=WHAT))
    column = next((name for name in PATHS if name in header), PATHS[0])
    source = read_columns(file, (column, *classes), optional, what=WHAT)
    ids = source[column].str.extract(ID_PATTERN).fillna("")
    return _checked(file, pd.concat([source, ids], axis=1))


def _of_studies(path: Path) -> LabelTable:
    what = "MIMIC-CXR-JPG's table of CheXpert labels"
    labels = read_columns(path, ("subject_id", "study_id", *FINDINGS), what=what)
    twice = labels["study_id"].duplicated()
    if twice.any():
        raise InputError(
            f"{path}: study '{labels.loc[twice, 'study_id'].iloc[0]}' is listed twice; a study has one row"
        )
    beside = {part: _beside(path, part) for part in ("metadata", "split")}
    if beside["metadata"] is None:
        raise InputError(
            f"{path}: its list of images, mimic-cxr-2.0.0-metadata.csv.gz, is not beside it; fetch it from there, too"
        )
    images = read_columns(beside["metadata"], (*IDS, "ViewPosition"), what="MIMIC-CXR-JPG's list of images")
    if beside["split"] is not None:
        split = read_columns(beside["split"], ("dicom_id", "split"), what="MIMIC-CXR-JPG's split")
        images = images.merge(split.drop_duplicates("dicom_id"), on="dicom_id", how="left")
    else:
        images["split"] = ""
    # Outer: a study whose images are not listed is a rejected row, not a silent loss
    source = images.merge(labels.drop(columns="subject_id"), on="study_id", how="outer").fillna("")
    codes = read_codes(source[list(FINDINGS)])
    infer_absent(codes, FINDINGS)
    rows = _rows(_checked(path, source), _splits(path, source["split"]))
    return assemble_coded(rows, codes, FINDINGS, normal=NO_FINDING)


def _beside(path: Path, part: str) -> Path | None:
    names = (f"mimic-cxr-2.0.0-{part}.csv.gz", f"mimic-cxr-2.0.0-{part}.csv")
    return next((path.parent / name for name in names if (path.parent / name).exists()), None)


def _checked(file: Path, source: pd.DataFrame) -> pd.DataFrame:
    check_patient_ids(file, "subject_id", source["subject_id"])
    return source


def _splits(file: Path, splits: pd.Series) -> pd.Series:
    known = splits.map(SPLIT_NAMES)
    if known.isna().any():
        row = int(known.isna().to_numpy().argmax())
        raise InputError(
            f"{file}: row {row + 1}: split '{splits.iloc[row]}' is unknown; it must be train, validate or test"
        )
    return known


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
