"""Run stage scripts of the pipeline in another folder, with other parameters, on data that lies elsewhere."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.errors import InputError


def run_stages(
    project: Path, stages: tuple[str, ...], values: Any, links: Mapping[str, Path], resume: ResumePoint
) -> Path:
    """Run stage scripts one after another; after an interruption the finished ones are not run again.

    Args:
        project: folder with `stages` and `src`.
        stages: names of the scripts.
        values: values of their params.yaml.
        links: path below `data` -> the file or folder that a link there leads to.
        resume: the scripts run in its folder.

    Returns:
        The folder in which the scripts ran; `resume.clear()` deletes it.

    Raises:
        InputError: a stage failed.
    """
    work = resume.folder / "work"
    for name, target in links.items():
        link = work / "data" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(target)
    YAML().dump(values, work / "params.yaml")
    others = os.environ.get("PYTHONPATH")
    found = [str(project / "src"), *([others] if others else [])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(found)}
    done = (resume.load() or {"done": 0})["done"]
    for number, stage in enumerate(stages[done:], done + 1):
        ended = subprocess.run([sys.executable, project / "stages" / f"{stage}.py"], cwd=work, env=environment)
        if ended.returncode:
            raise InputError(f"stage {stage} ended with {ended.returncode}; run this again to continue there")
        resume.save({"done": number})
    return work
