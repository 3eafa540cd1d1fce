"""Bad input at the level a user meets it: one line on stderr, exit code 1, nothing written, nothing lost."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.tiny_project import copy_project, set_params, stage

HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project on a folder of twelve NIH-like images of six patients, two findings in each split."""
    folder = copy_project(tmp_path / "project")
    images = tmp_path / "images"
    images.mkdir()
    lines = []
    splits = ["patient,split"]
    for k in range(12):
        noise = np.random.default_rng(k).integers(0, 256, (40, 40)).astype(np.uint8)
        Image.fromarray(noise).save(images / f"{k:08d}_000.png")
        lines.append(f"{k:08d}_000.png,{'Mass|Nodule' if k % 2 else 'Mass'},0,{k // 2},050Y,M,PA\n")
    splits += [f"{patient},{('train', 'val', 'test')[patient % 3]}" for patient in range(6)]
    (tmp_path / "labels.csv").write_text(HEADER + "".join(lines))
    (tmp_path / "splits.csv").write_text("\n".join(splits) + "\n")
    set_params(
        folder / "params.yaml",
        {
            "dataset.name": "nih",
            "dataset.images": str(images),
            "dataset.labels": str(tmp_path / "labels.csv"),
            "dataset.split_file": str(tmp_path / "splits.csv"),
            "labels.not_findings": ["No Finding"],
            "labels.projections": None,
        },
    )
    return folder


def fails(folder: Path, name: str) -> str:
    """The one line a failing stage prints."""
    output = stage(folder, name, expect=1)
    lines = output.strip().splitlines()
    assert len(lines) == 1, output
    assert lines[0].startswith("error: ")
    return lines[0]


def test_the_early_stages_run_on_a_good_folder(project: Path):
    for name in ("make_phantom", "scan_images", "parse_labels", "cache_images"):
        stage(project, name)
    assert [path.name for path in (project / "data/phantom").iterdir()] == ["unused.txt"]
    labels = pd.read_parquet(project / "data/labels/labels.parquet")
    assert len(labels) == 12
    assert labels.groupby("split")["patient"].nunique().to_dict() == {"train": 2, "val": 2, "test": 2}


def test_a_missing_image_folder(project: Path):
    set_params(project / "params.yaml", {"dataset.images": "/nowhere/images"})
    assert "/nowhere/images: no such folder; set 'dataset.images'" in fails(project, "scan_images")
    assert not (project / "data/manifest.parquet").exists()


def test_an_unknown_key(project: Path):
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("min_positives:", "min_positive:"))
    assert "unknown key 'labels.min_positive'; did you mean 'min_positives'?" in fails(project, "parse_labels")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            HEADER.replace("Finding Labels", "Labels") + "a.png,Mass,0,1,050Y,M,PA\n",
            "column 'Finding Labels' is missing",
        ),
        ("", "is empty"),
        (HEADER, "has a header but no rows"),
    ],
    ids=["missing column", "empty file", "no rows"],
)
def test_a_wrong_label_file_keeps_what_was_made(project: Path, content: str, message: str):
    stage(project, "scan_images")
    stage(project, "parse_labels")
    before = (project / "data/labels/labels.parquet").read_bytes()
    (project.parent / "labels.csv").write_text(content)
    assert message in fails(project, "parse_labels")
    assert (project / "data/labels/labels.parquet").read_bytes() == before


def test_a_label_file_that_is_an_image(project: Path):
    stage(project, "scan_images")
    image = next((project.parent / "images").iterdir())
    set_params(project / "params.yaml", {"dataset.labels": str(image)})
    assert str(image) in fails(project, "parse_labels")


def test_a_split_without_positives(project: Path):
    stage(project, "scan_images")
    text = (project.parent / "labels.csv").read_text()
    rows = [line.replace("Mass|Nodule", "No Finding").replace("Mass", "No Finding")
            if line.split(",")[3] in ("2", "5") else line for line in text.splitlines()]  # fmt: skip
    (project.parent / "labels.csv").write_text("\n".join(rows) + "\n")
    line = fails(project, "parse_labels")
    assert "test" in line
    assert "positive" in line


def test_a_patient_in_two_splits_of_a_split_file(project: Path):
    stage(project, "scan_images")
    with (project.parent / "splits.csv").open("a") as handle:
        handle.write("0,test\n")
    assert "splits.csv" in fails(project, "parse_labels")


def test_missing_and_truncated_images_are_counted_rows(project: Path):
    images = sorted((project.parent / "images").iterdir())
    images[0].unlink()
    images[5].write_bytes(images[5].read_bytes()[:200])
    for name in ("scan_images", "parse_labels", "cache_images"):
        stage(project, name)
    rejected = pd.read_parquet(project / "data/labels/rejected.parquet")
    assert rejected[["image", "reason"]].to_numpy().tolist() == [[images[0].name, "image file missing"]]
    unreadable = pd.read_parquet(project / "data/images/unreadable.parquet")
    assert unreadable.to_numpy().tolist() == [[images[5].name, "truncated PNG (no end marker)"]]
    assert len(pd.read_parquet(project / "data/images/classifier/index.parquet")) == 10


def test_a_folder_without_one_readable_image(project: Path):
    stage(project, "scan_images")
    stage(project, "parse_labels")
    for image in (project.parent / "images").iterdir():
        image.write_bytes(b"no picture")
    assert "none of 12 images could be read" in fails(project, "cache_images")
