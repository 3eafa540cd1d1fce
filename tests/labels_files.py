"""Invented label files in the columns of the real ones, for the tests of the labels room."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from tests.shipped import SHIPPED
from trcgl.config import LabelsParams

# As in the files, including empty and broken names
PADCHEST_HEADER = """
,ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,ViewPosition_DICOM,Projection,
MethodProjection,Pediatric,Modality_DICOM,Manufacturer_DICOM,PhotometricInterpretation_DICOM,PixelRepresentation_DICOM,
PixelAspectRatio_DICOM,SpatialResolution_DICOM,BitsStored_DICOM,WindowCenter_DICOM,WindowWidth_DICOM,Rows_DICOM,
Columns_DICOM,XRayTubeCurrent_DICOM,Exposure_DICOM,ExposureInuAs_DICOM,ExposureTime,RelativeXRayExposure_DICOM,ReportID,
Report,MethodLabel,Labels,Localizations,LabelsLocalizationsBySentence,labelCUIS,LocalizationsCUIS
"""
NIH_2017_HEADER = """
Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,OriginalImage[Width,Height],
OriginalImagePixelSpacing[x,y],
"""
PADCHEST_COLUMNS = PADCHEST_HEADER.replace("\n", "").split(",")
NIH_2017_COLUMNS = NIH_2017_HEADER.replace("\n", "").split(",")
NIH_2020_COLUMNS = NIH_2017_COLUMNS[:-1]


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, str]]) -> Path:
    """Write a CSV file; a row gives values by column, and missing ones are empty."""
    columns = list(columns)
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(columns)
        writer.writerows([row.get(name, "") for name in columns] for row in rows)
    return path


def padchest_row(number: int, labels: str, **changes: str) -> dict[str, str]:
    row = {
        "": str(number),
        "ImageID": f"im{number:04d}.png",
        "ImageDir": str(number % 3),
        "StudyDate_DICOM": "20150102",
        "StudyID": f"s{number}",
        "PatientID": f"p{number}",
        "PatientBirth": "1950.0",
        "PatientSex_DICOM": "F",
        "Projection": "PA",
        "PhotometricInterpretation_DICOM": "MONOCHROME2",
        "MethodLabel": "Physician",
        "Report": "con , coma y\nsalto",
        "Labels": labels,
    }
    return row | changes


def write_padchest(path: Path, rows: Iterable[Mapping[str, str]]) -> Path:
    return write_rows(path, PADCHEST_COLUMNS, rows)


def manifest_of(paths: Iterable[str]) -> pd.DataFrame:
    return pd.DataFrame({"path": pd.Series(list(paths), dtype="str")})


def labels_params(**changes: Any) -> LabelsParams:
    values: dict[str, Any] = {
        "projections": None,
        "methods": None,
        "vocabulary": "",
        "class_table": None,
        "not_findings": ("normal", "unchanged", "exclude", "suboptimal study"),
        "uncertain": "unknown",
        "missing": "unknown",
        "exclude_images_with": ("exclude", "suboptimal study"),
        "findings": None,
        "min_positives": 1,
        "head_above": 0.10,
        "tail_below": 0.01,
        "tail_findings": None,
        "split_seed": 0,
        "validation_fraction": 0.2,
        "test_fraction": 0.2,
    }
    return replace(SHIPPED.labels, **(values | changes))
