"""The form of a case, and the good project that it spoils."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

from tests.import_graph import ROOT

Spoil = Callable[[Path], None]
HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"
PARSE, SCAN, CACHE, BASELINE = "parse_labels", "scan_images", "cache_images", "train_baseline"
COOCCURRENCE, READ_BOXES = "build_cooccurrence", "read_boxes"
MODEL, BOXES = "evaluate a model", "evaluate against boxes"


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        group: heading in the table.
        what: what is wrong.
        stage: the stage script that meets it, or MODEL: `trcgl evaluate` on a saved classifier, or BOXES: with
            `--boxes boxes.csv`, and `--box-sizes sizes.csv` if there is one.
        spoil: changes a good project.
        seen: the line on stderr, or the recorded reason why a row or file was left out; `...` stands for any text.
        counted: whether the run goes on, with the bad row or file in rejected.parquet or unreadable.parquet.
    """

    group: str
    what: str
    stage: str
    spoil: Spoil
    seen: str
    counted: bool = False


def good_project(folder: Path) -> Path:
    """A project for the early stages: twelve NIH-like images of six patients."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for k in range(12):
        noise = np.random.default_rng(k).integers(0, 256, (40, 40)).astype(np.uint8)
        Image.fromarray(noise).save(folder / "images" / f"{k:08d}_000.png")
        rows.append(f"{k:08d}_000.png,{'Mass|Nodule' if k % 2 else 'Mass'},0,{k // 2},050Y,M,PA\n")
    (folder / "labels.csv").write_text(HEADER + "".join(rows))
    splits = [f"{patient},{('train', 'val', 'test')[patient % 3]}\n" for patient in range(6)]
    (folder / "splits.csv").write_text("patient,split\n" + "".join(splits))
    values = YAML(typ="safe").load(ROOT / "params.yaml")
    changes: dict[str, Any] = {
        "dataset.name": "nih", "dataset.images": "images", "dataset.labels": "labels.csv",
        "dataset.split_file": "splits.csv", "labels.not_findings": ["No Finding"], "labels.projections": None,
        "labels.exclude_images_with": [], "labels.min_positives": 1, "labels.tail_findings": ["Nodule"],
        "images.classifier_size": 32, "images.diffusion_size": 32, "compute.threads": 1, "compute.workers": 1,
        "compute.device": "cpu", "baseline.epochs": 1, "classifier.epochs": 1,
    }  # fmt: skip
    for key, value in changes.items():
        section, name = key.split(".")
        values[section][name] = value
    (folder / "params.yaml").write_text(json.dumps(values, indent=1))
    # Names the stage that writes a damaged file
    (folder / "dvc.yaml").symlink_to(ROOT / "dvc.yaml")
    (folder / "data").mkdir()
    (folder / "data/assets").symlink_to(ROOT / "data/assets")
    return folder
