"""One hash of the code that a study's script runs: what the stage of that name in dvc.yaml lists.

DVC reads the stages of the whole repository before it does anything. The studies have hundreds (arms times seeds), and
with some sixty modules each they made every command slow.
"""

import hashlib
import json
import sys
from pathlib import Path

from ruamel.yaml import YAML


def main() -> None:
    name = Path(sys.argv[1]).stem
    listed = YAML(typ="safe").load(Path("dvc.yaml"))["stages"][name]["deps"]
    # Not this file: what it says about itself is no reason to train an arm again
    files = sorted(dep for dep in listed if dep != Path(__file__).name)
    contents = [f"{hashlib.sha256(Path(file).read_bytes()).hexdigest()}  {file}\n" for file in files]
    joint = hashlib.sha256("".join(contents).encode()).hexdigest()
    Path(f"{name}.json").write_text(json.dumps({"files": len(files), "sha256": joint}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
