"""The outputs of the stages, as listed in the dvc.yaml of the current folder."""

import os
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from trcgl.runtime.disk import existing

KINDS = ("outs", "metrics", "plots")


def stage_outs() -> dict[str, list[str]]:
    """Stage -> paths of its outputs, metrics and plots; empty if there is no dvc.yaml."""
    try:
        stages: dict[str, Any] = YAML(typ="safe").load(Path("dvc.yaml"))["stages"]
        return {
            name: [out if isinstance(out, str) else next(iter(out)) for kind in KINDS for out in stage.get(kind, ())]
            for name, stage in stages.items()
        }
    except (OSError, YAMLError, TypeError, ValueError, LookupError, AttributeError, RecursionError):
        return {}


def unwritable(stage: str | None = None) -> list[Path]:
    """Those folders for the outputs of a stage (by default, of all stages) that this user may not write to."""
    outs = stage_outs()
    paths = [Path(out) for name, paths in outs.items() if stage in (None, name) for out in paths]
    parents = {existing(path.parent) for path in paths}
    return sorted(place for place in parents if not os.access(place, os.W_OK | os.X_OK))
