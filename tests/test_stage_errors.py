"""Bad input at the level a user meets it: one line on stderr, exit code 1, nothing written, nothing lost.

Processes as DVC starts them meet a good folder and one that is missing; for the rest, the scripts' `main` is enough.
"""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.stage_scripts import script
from tests.tiny_project import copy_project, set_params, stage
from trcgl.runtime.errors import exit_code

HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("stage_errors") / "project")


@pytest.fixture
def project(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project on a folder of twelve NIH-like images of six patients, two findings in each split."""
    folder = tmp_path / "project"
    shutil.copytree(copied, folder, symlinks=True)
    monkeypatch.chdir(folder)
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


def passes(name: str) -> None:
    assert exit_code(script(name).main) == 0


def fails(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a failing stage prints."""
    capsys.readouterr()
    assert exit_code(script(name).main) == 1
    said = capsys.readouterr()
    return only_line(said.out + said.err)


def only_line(output: str) -> str:
    lines = output.strip().splitlines()
    assert len(lines) == 1, output
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.slow
def test_the_early_stages_run_on_a_good_folder(project: Path):
    for name in ("make_phantom", "scan_images", "parse_labels", "cache_images"):
        stage(project, name)
    assert [path.name for path in (project / "data/phantom").iterdir()] == ["unused.txt"]
    labels = pd.read_parquet(project / "data/labels/labels.parquet")
    assert len(labels) == 12
    assert labels.groupby("split")["patient"].nunique().to_dict() == {"train": 2, "val": 2, "test": 2}


def test_a_missing_image_folder(project: Path):
    set_params(project / "params.yaml", {"dataset.images": "/nowhere/images"})
    assert "/nowhere/images: no such folder; set 'dataset.images'" in only_line(stage(project, "scan_images", expect=1))
    assert not (project / "data/manifest.parquet").exists()


def test_an_unknown_key(project: Path, capsys: pytest.CaptureFixture[str]):
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("min_positives:", "min_positive:"))
    assert "unknown key 'labels.min_positive'; did you mean 'min_positives'?" in fails("parse_labels", capsys)


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
def test_a_wrong_label_file_keeps_what_was_made(
    project: Path, content: str, message: str, capsys: pytest.CaptureFixture[str]
):
    passes("scan_images")
    passes("parse_labels")
    before = (project / "data/labels/labels.parquet").read_bytes()
    (project.parent / "labels.csv").write_text(content)
    assert message in fails("parse_labels", capsys)
    assert (project / "data/labels/labels.parquet").read_bytes() == before


def test_a_label_file_that_is_an_image(project: Path, capsys: pytest.CaptureFixture[str]):
    passes("scan_images")
    image = next((project.parent / "images").iterdir())
    set_params(project / "params.yaml", {"dataset.labels": str(image)})
    assert re.search(rf"{re.escape(str(image))}: .*(not text|image)", fails("parse_labels", capsys))


def test_a_split_without_positives(project: Path, capsys: pytest.CaptureFixture[str]):
    passes("scan_images")
    text = (project.parent / "labels.csv").read_text()
    rows = [line.replace("Mass|Nodule", "No Finding").replace("Mass", "No Finding")
            if line.split(",")[3] in ("2", "5") else line for line in text.splitlines()]  # fmt: skip
    (project.parent / "labels.csv").write_text("\n".join(rows) + "\n")
    assert re.search(r"the test split \(\d+ images\) has no positive of any class", fails("parse_labels", capsys))


def test_a_patient_in_two_splits_of_a_split_file(project: Path, capsys: pytest.CaptureFixture[str]):
    passes("scan_images")
    with (project.parent / "splits.csv").open("a") as handle:
        handle.write("0,test\n")
    assert re.search(r"splits\.csv: .*patient", fails("parse_labels", capsys))


def test_missing_and_truncated_images_are_counted_rows(project: Path):
    images = sorted((project.parent / "images").iterdir())
    images[0].unlink()
    images[5].write_bytes(images[5].read_bytes()[:200])
    for name in ("scan_images", "parse_labels", "cache_images"):
        passes(name)
    rejected = pd.read_parquet(project / "data/labels/rejected.parquet")
    assert rejected[["image", "reason"]].to_numpy().tolist() == [[images[0].name, "image file missing"]]
    unreadable = pd.read_parquet(project / "data/images/unreadable.parquet")
    assert unreadable.to_numpy().tolist() == [[images[5].name, "truncated PNG (no end marker)"]]
    assert len(pd.read_parquet(project / "data/images/classifier/index.parquet")) == 10


def test_a_folder_without_one_readable_image(project: Path, capsys: pytest.CaptureFixture[str]):
    passes("scan_images")
    passes("parse_labels")
    for image in (project.parent / "images").iterdir():
        image.write_bytes(b"no picture")
    assert "none of 12 images could be read" in fails("cache_images", capsys)
