"""The short form of `python -m tests.faults`: three kills of the real pipeline, then a disk that is full."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.faults.pipeline import (
    Quiet,
    can_mount,
    differences,
    disturb,
    drawn_moments,
    new_project,
    repro,
    resize_disk,
    run_quietly,
    small_disk,
)

pytestmark = pytest.mark.slow
TARGET = "train_baseline"  # what comes before it, and three trained epochs


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_project(tmp_path_factory.mktemp("faults") / "start")


@pytest.fixture(scope="module")
def quiet(start: Path) -> Quiet:
    project = start.parent / "quiet"
    shutil.copytree(start, project, symlinks=True)
    return run_quietly(project, TARGET)


def test_a_killed_run_comes_to_the_same_hashes(start: Path, quiet: Quiet):
    """Two kills and a SIGTERM, at moments that a seed has drawn."""
    project, order = start.parent / "disturbed", list(quiet.seconds)
    shutil.copytree(start, project, symlinks=True)
    moments = drawn_moments(quiet, 3, seed=1, stages=("cache_images", TARGET, TARGET))
    for number, (stage, delay) in zip((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM), moments, strict=True):
        disturb(project, dict.fromkeys(order[order.index(stage) :], delay), number, TARGET)
    run_quietly(project, TARGET)
    assert differences(quiet, project) == []


def test_a_full_disk_leaves_nothing_that_counts_as_done(start: Path, quiet: Quiet):
    disk = start.parent / "disk"
    if not can_mount(disk):
        pytest.skip("this user may not mount a small file system")
    with small_disk(disk, 200):
        project = disk / "project"
        shutil.copytree(start, project, symlinks=True)
        used = shutil.disk_usage(disk).used / 2**20
        resize_disk(disk, used + 0.6)  # the phantom alone needs more
        with repro(project, TARGET) as process:
            output = process.communicate()[0]
        assert process.returncode != 0
        assert "no space is left to write it" in output
        assert "Traceback" not in output
        resize_disk(disk, 200)
        run_quietly(project, TARGET)
        assert differences(quiet, project) == []
