"""The real pipeline, disturbed in the middle of a stage and run again: every out must equal that of a quiet run.

A round starts from scratch, is disturbed several times (each time in a stage and at a moment drawn from a seed), and is
then left to finish. The hashes in dvc.lock are compared, that is, what DVC found on disk and would share.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from tests.tiny_project import copy_project

# Long enough for a stage to be hit before, between and after its checkpoints
PARAMS: dict[str, Any] = {
    "baseline.epochs": 3,
    "classifier.epochs": 3,
    "classifier.extra_until": 0.7,
    "diffusion.steps": 20,
    "sampling.images_per_finding": 6,
}
LONG_STAGES = ("cache_images", "finetune_diffusion", "sample_tail", "train_baseline", "train_classifier")


@dataclass(frozen=True)
class Quiet:
    """An undisturbed run.

    Attributes:
        hashes: of every out in dvc.lock, by path.
        seconds: of every stage, in the order in which they ran.
    """

    hashes: dict[str, str]
    seconds: dict[str, float]


def new_project(folder: Path) -> Path:
    """A tiny project with small shards and a diffusion loop that saves its state after every step: few are enough."""
    project = copy_project(folder, PARAMS)
    loop = project / "src/trcgl/diffusion/finetuning/loop.py"
    text = loop.read_text()
    assert "KEEP_EVERY_SECONDS = 30.0" in text
    loop.write_text(text.replace("KEEP_EVERY_SECONDS = 30.0", "KEEP_EVERY_SECONDS = 0.0"))
    shards = project / "src/trcgl/artifacts/shards.py"
    text = shards.read_text()
    assert "SHARD_IMAGES = 4096" in text
    shards.write_text(text.replace("SHARD_IMAGES = 4096", "SHARD_IMAGES = 16"))
    return project


@contextmanager
def repro(project: Path, target: str | None = None) -> Iterator[subprocess.Popen[str]]:
    """`dvc repro` in its own process group, which is killed when the block ends."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "GIT_", "PYTHONPATH"))}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    command = ["dvc", "repro", *([target] if target else [])]
    process = subprocess.Popen(
        command, cwd=project, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _stage_of(line: str) -> str | None:
    return line.split("'")[1] if line.startswith("Running stage '") else None


def run_quietly(project: Path, target: str | None = None) -> Quiet:
    """Run to the end; if a stage fails, raise an AssertionError with the output."""
    began: list[tuple[str, float]] = []
    lines = []
    with repro(project, target) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if (stage := _stage_of(line)) is not None:
                began.append((stage, time.monotonic()))
        failed = process.wait() != 0
    if failed and mended_lock(project, lines):
        return run_quietly(project, target)
    assert not failed, "".join(lines[-40:])
    ends = [*(moment for _, moment in began), time.monotonic()][1:]  # empty if nothing was left to run
    seconds = {stage: end - start for (stage, start), end in zip(began, ends, strict=True)}
    return Quiet(lock_hashes(project), seconds)


def mended_lock(project: Path, lines: Sequence[str]) -> bool:
    """Whether DVC could not read its dvc.lock; if so, the file is deleted.

    DVC writes it in place, so a kill at that moment cuts it short. DVC's run cache restores outs of finished stages.
    """
    cut = any("dvc.lock' is invalid" in line or "dvc.lock' validation failed" in line for line in lines)
    if cut:
        (project / "dvc.lock").unlink()
        print("  dvc.lock was cut short by the kill: deleted", flush=True)
    return cut


def lock_hashes(project: Path) -> dict[str, str]:
    """The hash of every out in dvc.lock."""
    stages = YAML(typ="safe").load(project / "dvc.lock")["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def disturb(
    project: Path, delays: Mapping[str, float], number: signal.Signals, target: str | None = None
) -> tuple[str, str] | None:
    """Run, and signal the whole process group some seconds after the first stage in `delays` has begun.

    Returns:
        That stage, which DVC chooses among those that can run, and what was printed after it began; None if the run was
        over before the signal.
    """
    with repro(project, target) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if (stage := _stage_of(line)) is not None and stage in delays:
                break
        else:
            failed = process.wait() != 0
            if failed and mended_lock(project, lines):
                return disturb(project, delays, number, target)
            assert not failed, "".join(lines[-40:])
            return None
        try:
            # Meanwhile the output waits in the pipe, which is large enough for what a stage prints
            process.wait(timeout=delays[stage])
        except subprocess.TimeoutExpired:
            _signal_group(process, number)
        else:
            assert process.returncode == 0, process.stdout.read()
            return None
        after = process.stdout.read()
        assert process.wait() != 0, "the run went on"
        return stage, after


def drawn_moments(quiet: Quiet, count: int, seed: int, stages: Sequence[str] = LONG_STAGES) -> list[tuple[str, float]]:
    """When to disturb: the stages in turn, each at a random moment of its quiet duration, in the order of the run."""
    random = np.random.default_rng(seed)
    moments = [(stages[k % len(stages)], float(random.random())) for k in range(count)]
    order = list(quiet.seconds)
    return sorted(
        ((stage, share * quiet.seconds[stage]) for stage, share in moments), key=lambda m: (order.index(m[0]), m[1])
    )


def differences(quiet: Quiet, project: Path) -> list[str]:
    """The outs that differ from those of the quiet run."""
    found = lock_hashes(project)
    assert found.keys() == quiet.hashes.keys(), found.keys() ^ quiet.hashes.keys()
    return [path for path, md5 in quiet.hashes.items() if found[path] != md5]


@contextmanager
def small_disk(folder: Path, megabytes: float) -> Iterator[Path]:
    """A file system of that size in memory. Needs the right to mount."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={int(megabytes * 2**20)}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def resize_disk(folder: Path, megabytes: float) -> None:
    subprocess.run(["mount", "-o", f"remount,size={int(megabytes * 2**20)}", folder], check=True)


def can_mount(folder: Path) -> bool:
    """Whether `small_disk` works here."""
    if shutil.which("mount") is None or os.geteuid() != 0:
        return False
    try:
        with small_disk(folder, 1):
            return True
    except subprocess.CalledProcessError:
        return False
    finally:
        folder.rmdir()


def used_megabytes(folder: Path) -> float:
    return shutil.disk_usage(folder).used / 2**20
