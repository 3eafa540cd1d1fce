"""Each kind of bad input is one line and exit code 1, or a counted record; the table in the docs lists them all."""

import csv
import io
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.import_graph import ROOT
from tests.input_cases import CASES
from tests.input_cases.boxes import BOX_TABLES, for_the_stage
from tests.input_cases.case import BOXES, MODEL, Case, good_project
from tests.input_cases.others import OTHERS
from tests.input_cases.table import case_id, table
from tests.stage_scripts import script
from tests.test_evaluation_external import save_model
from trcgl.artifacts.shards import ShardWriter
from trcgl.cli import main as command
from trcgl.labels.build import Labels, build_labels
from trcgl.runtime.errors import exit_code

EARLY = ("scan_images", "parse_labels", "cache_images")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good project in which the early stages have run."""
    folder = good_project(tmp_path_factory.mktemp("input") / "project")
    save_model(folder / "model", class_names=("Mass", "Nodule"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for stage in EARLY:
            assert exit_code(script(stage).main) == 0
    return folder


NOT_SHOWN = [case for case in map(for_the_stage, BOX_TABLES) if case_id(case) not in {case_id(case) for case in CASES}]
"""Boxes of the data set that are refused as those of `trcgl evaluate` are, word by word: once is enough to read."""


@pytest.mark.parametrize("case", [*CASES, *NOT_SHOWN], ids=case_id)
def test_bad_input(
    case: Case, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    project = tmp_path / "project"
    shutil.copytree(made, project, symlinks=True)
    case.spoil(project)
    monkeypatch.chdir(project)
    if case.counted:
        _check_record(case, project)
        return
    before = _contents(project)
    capsys.readouterr()
    if case.stage in (MODEL, BOXES):
        words = ["evaluate", "--model", "model", "--dataset", "nih", "--images", "images", "--labels", "labels.csv"]
        words += ["--boxes", "boxes.csv"] if case.stage == BOXES else []
        words += ["--box-sizes", "sizes.csv"] if Path("sizes.csv").exists() else []
        code = command(words)
    else:
        code = exit_code(script(case.stage).main)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert code == 1
    assert len(lines) == 1
    assert _matches(case.seen, lines[0].removeprefix("error: ")), lines[0]
    assert _contents(project) == before, "a stopped run changes nothing that was made"


def _matches(seen: str, line: str) -> bool:
    return re.fullmatch(re.escape(seen).replace(re.escape("..."), ".*"), line) is not None


def _contents(project: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in project.glob("data/**/*") if path.is_file()}


def _check_record(case: Case, project: Path) -> None:
    """The run goes on, counts the row or file, and everything adds up."""
    for stage in EARLY if case.stage == "parse_labels" or "five." in _labels(project) else ("cache_images",):
        assert exit_code(script(stage).main) == 0
    rejected = pd.read_parquet(project / "data/labels/rejected.parquet")
    unreadable = pd.read_parquet(project / "data/images/unreadable.parquet")
    record = rejected if case.stage == "parse_labels" else unreadable
    assert len(record)
    assert all(_matches(case.seen, reason) for reason in record["reason"]), record["reason"].tolist()
    selected = pd.read_parquet(project / "data/labels/selected.parquet")
    index = pd.read_parquet(project / "data/images/classifier/index.parquet")
    # A value may have several lines
    rows = sum(1 for row in csv.reader(io.StringIO(_labels(project))) if row) - 1
    assert rows <= len(selected) + len(rejected)
    assert len(index) + len(unreadable) == len(selected)


def test_a_disk_that_is_too_small_stops_the_cache_before_it_begins(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(made)
    usage = SimpleNamespace(free=12 * 2 * 32**2 - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    assert exit_code(script("cache_images").main) == 1
    assert "12 images need 25 kB but only 25 kB are free; free some space" in capsys.readouterr().err
    assert not list(Path(".resume").rglob("*.npy"))
    usage.free += 2**21
    assert exit_code(script("cache_images").main) == 0


def test_a_lost_row_or_image_stops_its_stage(made: Path, monkeypatch: pytest.MonkeyPatch):
    """Not even a bug may lose one unseen: the sums are checked before anything is written."""
    monkeypatch.chdir(made)
    before = _contents(made)
    parse, whole, add = script("parse_labels"), build_labels, ShardWriter.add

    def one_row_less(*given: Any) -> Labels:
        labels = whole(*given)
        return replace(labels, labels=labels.labels[:-1])

    def all_but_one(writer: ShardWriter, image: str, pixels: np.ndarray) -> None:
        if image != "00000005_000.png":
            add(writer, image, pixels)

    monkeypatch.setattr(parse, "build_labels", one_row_less)
    with pytest.raises(AssertionError, match="rows in = kept"):
        parse.main()
    monkeypatch.setattr(ShardWriter, "add", all_but_one)
    with pytest.raises(AssertionError, match="images in = cached"):
        script("cache_images").main()
    shutil.rmtree(".resume")
    assert _contents(made) == before


def _labels(project: Path) -> str:
    return (project / "labels.csv").read_text()


def test_the_table_in_the_docs_is_that_of_the_tests():
    text = (ROOT / "docs/input-errors.md").read_text()
    assert table() in text, "run: python -m tests.input_cases --write"
    assert len({case_id(case) for case in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize("test", sorted({test for *_, test in OTHERS}))
def test_a_test_that_the_table_names_is_there(test: str):
    file, name = test.split("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text()
