"""Stands in for a stage script in tests of commands: milliseconds, no model.

It refuses the parameters that the stage would refuse and writes every output that dvc.yaml lists: a copy of what
`stand_in/` has under that name, with the numbers of a JSON file scaled by a hash of the parameters, or else that hash.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from trcgl.config import load_params
from trcgl.runtime.errors import exit_code

MADE = Path("stand_in")


def main() -> None:
    load_params()
    fingerprint = hashlib.sha256(Path("params.yaml").read_bytes()).hexdigest()
    stage = YAML(typ="safe").load(Path("dvc.yaml"))["stages"][Path(__file__).stem]
    for entry in (entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])):
        path = Path(entry if isinstance(entry, str) else next(iter(entry)))
        made = MADE / path
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.suffix:
            if made.exists():
                shutil.copytree(made, path)
            path.mkdir(exist_ok=True)
            # Plots are pictures; DVC does not look into them
            (path / ("picture.png" if path.parts[0] == "metrics" else "fingerprint.txt")).write_text(fingerprint)
        elif not made.exists():
            path.write_text(fingerprint)
        elif path.suffix == ".json":
            path.write_text(
                json.dumps(scaled(json.loads(made.read_text()), 1 - int(fingerprint[:4], 16) / 1e6), indent=2)
            )
        else:
            shutil.copy(made, path)


def scaled(value: Any, factor: float) -> Any:
    if isinstance(value, dict):
        return {key: scaled(inner, factor) for key, inner in value.items()}
    return value * factor if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(exit_code(main))
