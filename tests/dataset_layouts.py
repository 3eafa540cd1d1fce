"""Tiny synthetic copies of the data sets as published: folders, file names, label files, image formats."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from tests.import_graph import ROOT
from tests.labels_files import NIH_2020_COLUMNS, padchest_row, write_padchest, write_rows

IMAGES = 24
SIDE = 40
MIMIC_CLASSES = [
    "Atelectasis", "Calcification of the Aorta", "Cardiomegaly", "Consolidation", "Edema",
    "Enlarged Cardiomediastinum", "Fracture", "Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion",
    "Pleural Other", "Pneumomediastinum", "Pneumonia", "Pneumoperitoneum", "Pneumothorax", "Subcutaneous Emphysema",
    "Support Devices", "Tortuous Aorta",
]  # fmt: skip
CHEXPERT_HEADER = """
Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,
Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices
"""
VINDR_HEADER = """
Aortic enlargement,Atelectasis,Calcification,Cardiomegaly,Clavicle fracture,Consolidation,Edema,Emphysema,Enlarged PA,
ILD,Infiltration,Lung Opacity,Lung cavity,Lung cyst,Mediastinal shift,Nodule/Mass,Pleural effusion,Pleural thickening,
Pneumothorax,Pulmonary fibrosis,Rib fracture,Other lesion,COPD,Lung tumor,Pneumonia,Tuberculosis,Other diseases,
No finding
"""
CHEXPERT_COLUMNS = CHEXPERT_HEADER.replace("\n", "").split(",")
VINDR_FINDINGS = VINDR_HEADER.replace("\n", "").split(",")

Label = int | None


@dataclass
class Layout:
    """Where a copy lies, and its true labels.

    Attributes:
        images, labels: values for `dataset.images` and `dataset.labels`.
        truth: image -> finding -> 1, 0 or None (unknown), for images that should be used.
        splits: image -> split, for images whose split the data set states.
        rejected: reason -> number of rows.
    """

    images: Path
    labels: Path
    truth: dict[str, dict[str, Label]] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)


def write_picture(path: Path, number: int, bits: int = 8) -> None:
    """Write noise in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 2**bits, (SIDE, SIDE + number % 3))
    pixels = pixels.astype(np.uint8 if bits == 8 else np.uint16)
    if path.suffix == ".dicom":
        write_dicom(path, pixels)
    else:
        assert cv2.imwrite(str(path), pixels)


def write_dicom(path: Path, pixels: np.ndarray) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    dicom = pydicom.Dataset()
    dicom.file_meta = meta
    dicom.SOPClassUID, dicom.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dicom.Rows, dicom.Columns = pixels.shape
    dicom.SamplesPerPixel, dicom.PhotometricInterpretation, dicom.PixelRepresentation = 1, "MONOCHROME1", 0
    dicom.BitsAllocated = dicom.BitsStored = pixels.dtype.itemsize * 8
    dicom.HighBit = dicom.BitsStored - 1
    dicom.PixelData = pixels.tobytes()
    dicom.save_as(path, enforce_file_format=True)


def invented(findings: Sequence[str], normal: str | None, number: int) -> dict[str, Label]:
    """1 or 0 per finding: each one is in at least about a fifth of the images; one image in four is normal."""
    if number % 4 == 3:
        present = {normal}
    else:
        random = np.random.default_rng(1000 + number)
        others = [name for name in findings if name != normal]
        present = {
            others[0],
            *(name for i, name in enumerate(others) if (i + number) % 5 == 0 or random.random() < 0.1),
        }
    return {name: int(name in present) for name in findings}


def padchest(root: Path) -> Layout:
    layout = Layout(root / "images", root / "labels.csv")
    rows = []
    for number in range(IMAGES):
        labels = invented(["cardiomegaly", "nodule", "pneumothorax", "normal"], "normal", number)
        row = padchest_row(number, repr([f" {name}" for name, value in labels.items() if value]))
        write_picture(layout.images / row["ImageDir"] / row["ImageID"], number, bits=16)
        rows.append(row)
        layout.truth[row["ImageID"]] = {name: value for name, value in labels.items() if name != "normal"}
    rows.append(padchest_row(90, "['nodule']", Projection="L"))
    rows.append(padchest_row(91, "['nodule']"))
    layout.rejected = {"projection_not_selected": 1, "image_file_missing": 1}
    write_padchest(layout.labels, rows)
    return layout


def nih(root: Path) -> Layout:
    layout = Layout(root, root / "Data_Entry_2017_v2020.csv")
    rows, tested = [], []
    for number in range(IMAGES):
        labels = invented(["Infiltration", "Cardiomegaly", "Emphysema", "Fibrosis", "Hernia"], "No Finding", number)
        image = f"{number // 2:08d}_{number % 2:03d}.png"
        write_picture(root / f"images_{number // 8 + 1:03d}" / "images" / image, number)
        texts = "|".join(name for name, value in labels.items() if value) or "No Finding"
        values = (image, texts, str(number % 2), str(number // 2), "58", "M", "PA")
        rows.append(dict(zip(NIH_2020_COLUMNS[: len(values)], values, strict=True)))
        layout.truth[image] = labels
        if number >= 18:
            tested.append(image)
            layout.splits[image] = "test"
    write_rows(layout.labels, NIH_2020_COLUMNS, rows)
    (root / "test_list.txt").write_text("\n".join(tested) + "\n")
    return layout


def cxrlt(root: Path) -> Layout:
    package = root / "package"
    package.mkdir()
    layout = Layout(root / "images", package / "train.csv")
    with (ROOT / "data/assets/cxrlt_classes.csv").open(newline="", encoding="utf-8") as handle:
        classes = [row["class"] for row in csv.DictReader(handle)]
    rows = []
    for number in range(IMAGES):
        labels = invented(classes, "Normal", number)
        image = f"{number}_im.png"
        write_picture(layout.images / str(number % 3) / image, number, bits=16)
        about = {"ImageID": image, "StudyDate_DICOM": "20150102", "PatientID": f"p{number // 2}"}
        rows.append(about | {name: str(value) for name, value in labels.items()})
        layout.truth[image] = labels
    for image in ("bad.png", "gone.png"):
        rows.append({"ImageID": image, "PatientID": "x"} | dict.fromkeys(classes, "0"))
    write_rows(layout.labels, ["ImageID", "StudyDate_DICOM", "PatientID", *classes], rows)
    write_rows(package / "corrupted_images.csv", ["ImageID"], [{"ImageID": "bad.png"}])
    write_rows(package / "Removal.csv", ["ImageID"], [{"ImageID": "gone.png"}])
    layout.rejected = {"listed_in_corrupted_images_csv": 1, "listed_in_removal_csv": 1}
    return layout


def chexpert(root: Path) -> Layout:
    layout = Layout(root, root / "train.csv")
    findings = CHEXPERT_COLUMNS[5:]
    rows = []
    for number in range(IMAGES):
        labels = invented(findings, "No Finding", number)
        patient, view = f"patient{number // 2 + 1:05d}", "view1_frontal.jpg"
        folder = f"train/{patient}/study{number % 2 + 1}"
        write_picture(root / folder / view, number)
        about = {
            "Path": f"CheXpert-v1.0/{folder}/{view}",
            "Sex": ("Female", "Male")[number % 2],
            "Age": "68",
            "Frontal/Lateral": "Frontal",
            "AP/PA": ("AP", "PA")[number % 2],
        }
        normal = labels["No Finding"] == 1
        # As the labeller writes it: 1 or 0 where the report says so, -1 where it is uncertain, blank where it is silent
        stated = {name: ("1.0" if labels[name] else ("0.0", "-1.0", "")[i % 3]) for i, name in enumerate(findings)}
        stated["No Finding"] = "1.0" if normal else ""
        if normal:
            stated = {name: "" if text == "-1.0" else text for name, text in stated.items()}
        rows.append(about | stated)
        codes: dict[str, Label] = {name: {"1.0": 1, "0.0": 0}.get(text) for name, text in stated.items()}
        if normal:
            codes |= {name: 0 for name in findings if name not in ("No Finding", "Support Devices")}
        layout.truth[f"{patient}_study{number % 2 + 1}_{view}"] = {n: v for n, v in codes.items() if n != "No Finding"}
    lateral = "train/patient00001/study1/view2_lateral.jpg"
    write_picture(root / lateral, 99)
    rows.append({"Path": f"CheXpert-v1.0/{lateral}", "Frontal/Lateral": "Lateral", "Fracture": "1.0"})
    write_rows(layout.labels, CHEXPERT_COLUMNS, rows)
    layout.rejected = {"projection_not_selected": 1}
    return layout


def mimic(root: Path) -> Layout:
    labels = root / "miccai-2023_mimic-cxr-lt"
    labels.mkdir()
    layout = Layout(root / "files", labels)
    parts: dict[str, list[dict[str, str]]] = {"train": [], "val": [], "test": []}
    for number in range(IMAGES):
        part = ("train", "train", "val", "test")[(number // 2) % 4]
        subject, study, dicom = f"1{number // 2:07d}", f"5{number:07d}", f"{number:08x}-aaaa-bbbb"
        path = f"files/p{subject[:2]}/p{subject}/s{study}/{dicom}.jpg"
        write_picture(root / path, number)
        values = invented(MIMIC_CLASSES, "No Finding", number)
        about = {"dicom_id": dicom, "subject_id": subject, "study_id": study, "path": path}
        parts[part].append(about | {name: str(value) for name, value in values.items()})
        layout.truth[f"{dicom}.jpg"] = {name: value for name, value in values.items() if name != "No Finding"}
        layout.splits[f"{dicom}.jpg"] = part
    for part, rows in parts.items():
        columns = ["dicom_id", "subject_id", "study_id", "path", *MIMIC_CLASSES]
        write_rows(labels / f"miccai2023_mimic-cxr-lt_labels_{part}.csv", columns, rows)
    return layout


def vindr(root: Path) -> Layout:
    annotations = root / "annotations"
    annotations.mkdir()
    layout = Layout(root, annotations)
    training, testing = [], []
    for number in range(IMAGES):
        values = invented(VINDR_FINDINGS, "No finding", number)
        name = f"{number:032x}"
        part = "test" if number % 3 == 2 else "train"
        write_picture(root / part / f"{name}.dicom", number, bits=16)
        agreed = {finding: str(value) for finding, value in values.items()}
        if part == "test":
            testing.append({"image_id": name} | agreed)
            layout.splits[f"{name}.dicom"] = "test"
        else:
            # One of three readers contradicts the others in every finding
            dissent = {finding: str(1 - int(value)) for finding, value in agreed.items()}
            readings = [agreed, agreed, dissent]
            training += [{"image_id": name, "rad_id": f"R{9 - i}"} | readings[(i + number) % 3] for i in range(3)]
        layout.truth[f"{name}.dicom"] = {finding: v for finding, v in values.items() if finding != "No finding"}
    write_rows(annotations / "image_labels_train.csv", ["image_id", "rad_id", *VINDR_FINDINGS], training)
    renamed = ["Other disease" if name == "Other diseases" else name for name in VINDR_FINDINGS]
    rows = [row | {"Other disease": row["Other diseases"]} for row in testing]
    write_rows(annotations / "image_labels_test.csv", ["image_id", *renamed], rows)
    return layout


def folder(root: Path) -> Layout:
    layout = Layout(root / "pictures", root / "mine.csv")
    findings = ["effusion", "nodule", "drain"]
    rows = []
    for number in range(IMAGES):
        values = invented(findings, None, number)
        name = (f"a/{number}.png", f"b/{number}.jpg", f"{number}.dicom")[number % 3]
        write_picture(layout.images / name, number, bits=16 if name.endswith("dicom") else 8)
        split = ("train", "train", "validation", "test")[(number // 2) % 4]
        stated = {finding: str(value) for finding, value in values.items()}
        if number % 6 == 1:
            stated["drain"], values["drain"] = (("-1", ""))[number % 12 == 1], None
        rows.append({"image": name, "patient": f"P{number // 2}", "split": split, "projection": "PA"} | stated)
        image = name.replace("/", "_")
        layout.truth[image] = values
        layout.splits[image] = "val" if split == "validation" else split
    write_rows(layout.labels, ["image", "patient", "projection", "split", *findings], rows)
    return layout


LAYOUTS: dict[str, Callable[[Path], Layout]] = {
    "padchest": padchest,
    "nih": nih,
    "cxrlt": cxrlt,
    "chexpert": chexpert,
    "mimic": mimic,
    "vindr": vindr,
    "folder": folder,
}
"""By the name of the data set; the phantom is drawn."""
