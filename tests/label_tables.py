"""Small label tables of every adapter's form, what they mean, and plain counting of it."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.dataset_layouts import CHEXPERT_COLUMNS
from tests.labels_files import NIH_2020_COLUMNS, PADCHEST_COLUMNS
from trcgl.labels.adapters import read_table
from trcgl.labels.report import label_counts
from trcgl.labels.table import LabelTable

ROWS = 12
FINDINGS = ("Mass", "Nodule", "Edema")
CHEXPERT_NAMES = {"Mass": "Lung Lesion", "Nodule": "Lung Opacity", "Edema": "Edema"}
Rows = list[dict[str, str]]


@dataclass
class Meant:
    """What a table means: per row an image, a patient and which findings are there, None if unknown."""

    images: list[str] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)
    labels: list[dict[str, int | None]] = field(default_factory=list)


def meant() -> Meant:
    whole = Meant()
    for k in range(ROWS):
        whole.images.append(f"im{k:03d}.png")
        whole.patients.append(str(100 + k // 2))
        whole.labels.append(
            {name: int((k + place) % 3 == 0 or (k * place) % 5 == 1) for place, name in enumerate(FINDINGS)}
        )
    return whole


@dataclass(frozen=True)
class Adapter:
    """How a data set writes down what is meant.

    Attributes:
        columns: of the table.
        row: image, patient, labels -> cells.
        patient, label: the columns of the patient, and of the labels: the list's, or a finding's.
        listed: whether labels are a list.
    """

    columns: Sequence[str]
    row: Callable[[str, str, dict[str, int | None]], dict[str, str]]
    patient: str
    label: str
    listed: bool


def present(labels: dict[str, int | None], normal: str) -> list[str]:
    return [name for name, value in labels.items() if value] or [normal]


def codes(labels: dict[str, int | None]) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in labels.items()}


ADAPTERS = {
    "padchest": Adapter(
        PADCHEST_COLUMNS,
        lambda image, patient, labels: {
            "ImageID": image, "PatientID": patient, "StudyID": "s", "Projection": "PA", "MethodLabel": "Physician",
            "Labels": str(present(labels, "normal")), "Report": "uno, dos",
            "PhotometricInterpretation_DICOM": "MONOCHROME2",
        },
        "PatientID", "Labels", True,
    ),
    "nih": Adapter(
        NIH_2020_COLUMNS,
        lambda image, patient, labels: {
            "Image Index": image, "Patient ID": patient, "View Position": "PA",
            "Finding Labels": "|".join(present(labels, "No Finding")),
        },
        "Patient ID", "Finding Labels", True,
    ),
    "folder list": Adapter(
        ["image", "patient", "labels"],
        lambda image, patient, labels: {
            "image": image, "patient": patient, "labels": "|".join(present(labels, "normal")),
        },
        "patient", "labels", True,
    ),
    "folder": Adapter(
        ["image", "patient", *FINDINGS],
        lambda image, patient, labels: {"image": image, "patient": patient} | codes(labels),
        "patient", "Edema", False,
    ),
    "cxrlt": Adapter(
        ["ImageID", "PatientID", *FINDINGS],
        lambda image, patient, labels: {"ImageID": image, "PatientID": patient} | codes(labels),
        "PatientID", "Edema", False,
    ),
    "mimic": Adapter(
        ["dicom_id", "subject_id", "study_id", *FINDINGS],
        lambda image, patient, labels: {
            "dicom_id": image.removesuffix(".png"), "subject_id": patient, "study_id": f"5{patient}",
        } | codes(labels),
        "subject_id", "Edema", False,
    ),
    "chexpert": Adapter(
        CHEXPERT_COLUMNS,
        lambda image, patient, labels: {
            "Path": f"C/train/patient{patient}/study{image[2:5]}/{image}", "Frontal/Lateral": "Frontal", "AP/PA": "PA",
        }
        | dict.fromkeys(CHEXPERT_COLUMNS[5:], "0")
        | {CHEXPERT_NAMES[name]: code for name, code in codes(labels).items()},
        "Path", "Edema", False,
    ),
    "vindr": Adapter(
        ["image_id", "rad_id", *FINDINGS],
        lambda image, patient, labels: {"image_id": image, "rad_id": "R1"} | codes(labels),
        "image_id", "Edema", False,
    ),
}  # fmt: skip
NAMES_OF = {"chexpert": CHEXPERT_NAMES}
HAS_IDS = [name for name in ADAPTERS if name not in ("chexpert", "vindr")]
LISTED = [name for name, adapter in ADAPTERS.items() if adapter.listed]
CODED = [name for name, adapter in ADAPTERS.items() if not adapter.listed]


def rows_of(adapter: Adapter, what: Meant) -> Rows:
    return [adapter.row(*one) for one in zip(what.images, what.patients, what.labels, strict=True)]


def as_text(columns: Sequence[str], rows: Rows) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row.get(name, "") for name in columns] for row in rows)
    return stream.getvalue()


def read(name: str, path: Path, content: bytes | str) -> LabelTable:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(name.split()[0], path)


def counted(what: Meant, name: str) -> dict[str, int]:
    """Images per finding, by plain counting."""
    spelled = NAMES_OF.get(name, {})
    return {spelled.get(one, one): sum(labels[one] == 1 for labels in what.labels) for one in FINDINGS}


def check(table: LabelTable, what: Meant, name: str) -> None:
    counts = label_counts(table).groupby("label")["count"].sum()
    assert {one: int(counts[one]) for one in counted(what, name)} == counted(what, name)
    assert len(table.rows) == len(what.images)
    if name in HAS_IDS:
        assert table.rows["patient"].tolist() == what.patients
    findings = list(counted(what, name))
    if name not in LISTED:
        expected = [[-1 if value is None else value for value in labels.values()] for labels in what.labels]
        assert table.matrix(findings).tolist() == expected
    # Nothing else became a finding
    assert set(counts.index[counts > 0]) - {"normal", "No Finding"} <= set(findings)
