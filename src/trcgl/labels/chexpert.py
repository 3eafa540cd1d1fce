"""CheXpert's label files (train.csv, valid.csv and the later train_cheXbert.csv) as a canonical table.

https://stanfordmlgroup.github.io/competitions/chexpert/ (Irvin et al., AAAI 2019). A label is 1, 0, -1 where the report
is uncertain, and blank where it does not mention the finding.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.ages import stated_ages
from trcgl.labels.coded import ABSENT, PRESENT, UNSTATED, assemble_coded, read_codes, rows_of, warn_no_codes
from trcgl.labels.file_names import check_apart
from trcgl.labels.table import LabelTable
from trcgl.runtime.errors import InputError
from trcgl.tables import read_columns

NO_FINDING = "No Finding"
DEVICES = "Support Devices"
FINDINGS = (
    NO_FINDING, "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation",
    "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", DEVICES,
)  # fmt: skip
OPTIONAL = ("Sex", "Age", "Frontal/Lateral", "AP/PA")
SEXES = {"Male": "M", "Female": "F"}
PARTS = r"(patient[^/]+)/(study[^/]+)/([^/]+)$"


def read_chexpert(path: str | Path) -> LabelTable:
    """Read a CheXpert label file.

    File names repeat (view1_frontal.jpg), so an image is called patient00001_study1_view1_frontal.jpg. Its file is the
    one whose path ends with patient, study and view (with either slash), in any folder of the download. Lateral views
    have projection L.

    Rejected rows: a Path that does not end with patient/study/view, a label that is not a code, no label.

    Raises:
        InputError: the file is not a readable CSV file with CheXpert's columns; no row has such a Path, or no row has
            only valid codes; two paths give one name.
    """
    path = Path(path)
    source = read_columns(path, ("Path", *FINDINGS), OPTIONAL, what="a CheXpert label table")
    codes = read_codes(source[list(FINDINGS)])
    infer_absent(codes, FINDINGS)
    warn_no_codes(source[list(FINDINGS)], codes, rows_of([path], [source]))
    paths = source["Path"].str.replace("\\", "/", regex=False)
    parts = paths.str.extract(PARTS)
    if parts[0].isna().all():
        raise InputError(
            f"{path}: row 1: Path '{source['Path'].iloc[0]}' does not end with patient/study/view, and no row does; "
            "give CheXpert's own paths, such as train/patient00001/study1/view1_frontal.jpg"
        )
    known = parts[0].notna()
    patient, study, view = (parts[position].fillna("") for position in range(3))
    images = (patient + "_" + study + "_" + view).where(known, paths)
    files = (patient + "/" + study + "/" + view).where(known, "")
    check_apart(path, "Path", files, images)
    side = source["Frontal/Lateral"].str.capitalize()
    age = stated_ages(path, "Age", source["Age"])
    rows = pd.DataFrame(
        {
            "row": np.arange(1, len(source) + 1),
            "image": images,
            "file": files,
            "patient": patient,
            "study": patient + "_" + study,
            # Where the side is not stated, AP or PA says that the view is frontal
            "projection": source["AP/PA"].where(side.isin(["Frontal", ""]), side.replace("Lateral", "L")),
            "sex": source["Sex"].replace(SEXES),
            # The file writes 0 for an unknown age
            "age": age.where(age > 0),
        }
    )
    return assemble_coded(rows, codes, FINDINGS, source=path, normal=NO_FINDING)


def infer_absent(codes: np.ndarray, findings: Sequence[str]) -> None:
    """Set unknown findings to absent, in place, where No Finding is present, as CheXpert's labeller defines it.

    Support Devices does not count as a finding in that sense and stays as it is.

    Args:
        codes: int8, rows x findings, as `read_codes` returns them.
    """
    normal = codes[:, findings.index(NO_FINDING)] == PRESENT
    others = np.array([name not in (NO_FINDING, DEVICES) for name in findings])
    codes[(codes == UNSTATED) & normal[:, None] & others[None, :]] = ABSENT
