"""The label table labels.csv: PadChest's 36 columns in the same order, with the irregularities of the real file."""

import numpy as np
import pandas as pd

from trcgl.numerics.seeding import rng
from trcgl.phantom.catalogue import BY_NAME
from trcgl.phantom.population import Image

COLUMNS = (
    "", "ImageID", "ImageDir", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM",
    "ViewPosition_DICOM", "Projection", "MethodProjection", "Pediatric", "Modality_DICOM", "Manufacturer_DICOM",
    "PhotometricInterpretation_DICOM", "PixelRepresentation_DICOM", "PixelAspectRatio_DICOM",
    "SpatialResolution_DICOM", "BitsStored_DICOM", "WindowCenter_DICOM", "WindowWidth_DICOM", "Rows_DICOM",
    "Columns_DICOM", "XRayTubeCurrent_DICOM", "Exposure_DICOM", "ExposureInuAs_DICOM", "ExposureTime",
    "RelativeXRayExposure_DICOM", "ReportID", "Report", "MethodLabel", "Labels", "Localizations",
    "LabelsLocalizationsBySentence", "labelCUIS", "LocalizationsCUIS",
)  # fmt: skip

_VIEW_POSITION = {"PA": "POSTEROANTERIOR", "AP": "ANTEROPOSTERIOR", "AP_horizontal": "", "L": "LATERAL"}


def is_inverted(seed: int, image: str) -> bool:
    """Whether air is bright in the image file; the table then states MONOCHROME1."""
    return rng(seed, "inverted", image).random() < 0.01


def raw_labels(image: Image) -> list[str] | None:
    """The labels as the real file would write them, mostly clean but sometimes not; None stands for a missing cell."""
    if image.spoiled == "unlabelled":
        return None
    generator = rng(image.view.seed, "dirt", image.view.image)
    labels = list(written_findings(image))
    if image.spoiled == "excluded":
        labels.append("exclude")
    if image.spoiled == "suboptimal":
        labels.append("suboptimal study")
    if not labels:
        labels = ["normal"]
        # Normal images can be reported as unchanged as well
        if generator.random() < 0.06:
            labels = ["unchanged"] if generator.random() < 0.5 else ["normal", "unchanged"]
    elif generator.random() < 0.008:
        labels.append("normal")
    elif generator.random() < 0.09:
        labels.append("unchanged")
    if generator.random() < 0.03:
        labels.append(labels[int(generator.integers(len(labels)))])
    labels = [f" {label}" if generator.random() < 0.15 else label for label in labels]
    if generator.random() < 0.025:
        labels.insert(int(generator.integers(len(labels) + 1)), "")
    return labels


def written_findings(image: Image) -> tuple[str, ...]:
    """The findings that the table names: those of the image, without missed ones and with false ones.

    False labels of a finding are as rare as the finding itself. With one rate for all findings, most labels of a rare
    finding would be false.
    """
    hospital, shown = image.view.hospital, image.view.findings
    if hospital.labels_missed == 0 == hospital.labels_false:
        return shown
    chance = dict(zip(BY_NAME, rng(image.view.seed, "label noise", image.view.image).random(len(BY_NAME)), strict=True))
    return tuple(
        name
        for name in BY_NAME
        if (
            chance[name] >= hospital.labels_missed
            if name in shown
            else chance[name] < hospital.labels_false * BY_NAME[name].share
        )
    )


def row(image: Image, index: int, size: int) -> dict[str, str]:
    """One row of the table; everything is text, and a missing value is the empty string."""
    view = image.view
    generator = rng(view.seed, "row", view.image)
    study = rng(view.seed, "study row", image.study)
    year, month, day = 2009 + int(study.integers(9)), 1 + int(study.integers(12)), 1 + int(study.integers(28))
    philips = bool(study.random() < 0.5)
    labels = raw_labels(image)
    findings = [BY_NAME[name] for name in written_findings(image)]
    places = list(dict.fromkeys(finding.location for finding in findings if finding.location))
    physician = generator.random() < 0.24
    sentences = [[finding.name, *([finding.location] if finding.location else [])] for finding in findings]
    flat = [part for sentence in sentences for part in sentence] or ["normal"]
    report = " . ".join(finding.report for finding in findings) or "sin hallazg relev"
    values = (
        str(index),
        view.image,
        str(int(generator.integers(54))),
        f"{year}{month:02}{day:02}",
        image.study,
        view.patient,
        f"{year - int(view.age)}.0",
        "F" if view.female else "M",
        _VIEW_POSITION[view.projection],
        view.projection,
        "Manual review of DICOM fields" if generator.random() < 0.9 else "resnet-50.t7",
        "No",
        "CR" if generator.random() < 0.92 else "DX",
        "PhilipsMedicalSystems" if philips else "ImagingDynamicsCompanyLtd",
        "MONOCHROME1" if is_inverted(view.seed, view.image) else "MONOCHROME2",
        "0",
        "['1', '1']" if generator.random() < 0.3 else "",
        "0.143" if philips else "0.2",
        "12",
        "2047.0" if philips else "",
        "4095.0" if philips else "",
        str(size),
        str(size),
        str(int(generator.choice((250, 320, 400)))),
        str(int(generator.integers(1, 13))),
        str(int(generator.choice((2500, 3200, 10000)))),
        str(int(generator.choice((5, 10, 25)))),
        f"{generator.normal(-1, 0.3):.2f}" if generator.random() < 0.5 else "",
        str(4000000 + int(study.integers(2000000))),
        f" {report} .",
        "Physician" if physician else "RNN_model",
        "" if labels is None else str(labels),
        "" if labels is None else str(places),
        "" if labels is None else str(sentences or [["normal"]] if physician else flat),
        _numpy_text([finding.cui for finding in findings]),
        "[]",
    )
    return dict(zip(COLUMNS, values, strict=True))


def _numpy_text(values: list[str]) -> str:
    """A list as NumPy prints it, without commas."""
    return "[" + " ".join(repr(value) for value in values) + "]"


def label_table(images: list[Image], size: int) -> pd.DataFrame:
    """The whole table, one row per image, as text."""
    frame = pd.DataFrame([row(image, index, size) for index, image in enumerate(images)], columns=list(COLUMNS))
    return frame.astype(str)


def split_table(images: list[Image]) -> pd.DataFrame:
    """One row per patient: columns patient, split, sampling."""
    rows = sorted({(image.view.patient, image.split, image.sampling) for image in images})
    return pd.DataFrame(rows, columns=["patient", "split", "sampling"])


def shares(images: list[Image]) -> dict[str, float]:
    """For each finding, the share of the unspoiled images that show it."""
    usable = [image for image in images if image.spoiled is None]
    counts = np.array([[name in image.view.findings for name in BY_NAME] for image in usable]).mean(axis=0)
    return dict(zip(BY_NAME, counts.tolist(), strict=True))
