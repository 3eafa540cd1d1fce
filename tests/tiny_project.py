"""A copy of the project with parameters small enough that the whole pipeline runs in about a minute."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.import_graph import ROOT, STUDIES

COPIED = (
    "src",
    "stages",
    "presets",
    "data/assets",
    ".dvc/config",
    ".dvcignore",
    ".gitignore",
    "dvc.yaml",
    "None",
    "params.yaml",
)

TINY: dict[str, Any] = {
    "dataset.phantom.train_images": 60,
    "dataset.phantom.validation_images": 24,
    "dataset.phantom.test_images": 24,
    "dataset.phantom.validation_tail_positives": 3,
    "dataset.phantom.test_tail_positives": 4,
    # At this scale one image is more than a hundredth, so the limit of the tail is raised
    "labels.min_positives": 1,
    "labels.tail_below": 0.05,
    "images.classifier_size": 32,
    "images.diffusion_size": 32,
    "baseline.epochs": 1,
    "baseline.batch_size": 16,
    "classifier.epochs": 1,
    "classifier.batch_size": 16,
    "diffusion.base": "data/assets/tiny_base",
    "diffusion.steps": 2,
    "diffusion.batch_size": 4,
    "sampling.images_per_finding": 3,
    "sampling.images_per_real_image": None,
    "sampling.steps": 2,
    "sampling.micro_batch": 2,
    "evaluation.bootstrap_samples": 20,
    "compute.threads": 1,
    "compute.workers": 1,
}


def set_params(path: Path, values: dict[str, Any]) -> None:
    """Set dotted keys of a params file in place; comments stay."""
    yaml = YAML()
    document = yaml.load(path)
    for key, value in values.items():
        *parents, last = key.split(".")
        section = document
        for parent in parents:
            section = section[parent]
        assert last in section, key
        section[last] = value
    yaml.dump(document, path)


def copy_project(folder: Path, values: dict[str, Any] | None = None) -> Path:
    """The project's committed files in a git repository of their own, with tiny parameters."""
    folder.mkdir(parents=True)
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    # Not at the top: most tests that copy a project need no diffusers
    from tests.tiny_base import shared_base

    shutil.copytree(shared_base(TINY["images.diffusion_size"]), folder / "data/assets/tiny_base")
    set_params(folder / "params.yaml", TINY | (values or {}))
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "git", "config", "user.email", "test@example.org")
    run(folder, "git", "config", "user.name", "test")
    commit(folder, "start")
    return folder


def copy_studies(project: Path) -> Path:
    """The committed files of the studies, without what their runs wrote."""
    left = shutil.ignore_patterns("tmp", "cache", ".resume", "logs", "runs", "data", "base", "dvc.lock", "__pycache__")
    return shutil.copytree(STUDIES, project / "studies", symlinks=True, ignore=left)


def stand_in_stages(folder: Path) -> None:
    """Replace the stages by scripts that write their outputs in milliseconds, where results do not matter."""
    for script in (folder / "stages").glob("*.py"):
        shutil.copy(ROOT / "tests/stand_in_stage.py", script)


def commit(folder: Path, message: str) -> None:
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-q", "-m", message)


def environment() -> dict[str, str]:
    """Like a user's: this interpreter's programs first on the path, and no variables of an outer run."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "GIT_", "PYTHONPATH"))}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    return env


def run(folder: Path, *command: str, expect: int = 0) -> str:
    """Run a command in the copy with this interpreter's programs first on the path; returns stdout and stderr."""
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert done.returncode == expect, f"{' '.join(command)} ended with {done.returncode}:\n{output[-4000:]}"
    return output


def stage(folder: Path, name: str, *, expect: int = 0) -> str:
    """Run one stage script as DVC would."""
    return run(folder, "sh", "-c", f"PYTHONPATH=src python stages/{name}.py", expect=expect)
