"""`dvc repro` with nothing to do, against the same command on a bare pipeline of as many stages.

    PYTHONPATH=src python -m benchmarks.noop_repro

Works in two temporary folders: a clone of this repository with a small stand-in for every output, recorded by
`dvc commit`, and a chain of as many stages with one dependency and one output each. The floor is the bare pipeline:
the time that DVC itself needs. CPU time.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import print_rows, rounds_row, write_results
from benchmarks.timing import take_turns
from ruamel.yaml import YAML

RESULT = Path("benchmarks/results/noop_repro.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.noop_repro"


def dvc(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


def nothing_to_do(folder: Path) -> None:
    assert "up to date" in dvc(folder, "repro", "dvc.yaml"), f"a stage of {folder} ran"


def stand_ins(folder: Path) -> int:
    """Write a small stand-in for every output of a stage and record it; returns the number of stages."""
    subprocess.run(["git", "clone", "-q", ".", str(folder)], check=True)
    params = YAML(typ="safe").load(folder / "params.yaml")
    stages = YAML(typ="safe").load(folder / "dvc.yaml")["stages"]
    for stage in stages.values():
        for kind in ("outs", "metrics", "plots"):
            for out in stage.get(kind, []):
                path = folder / (out if isinstance(out, str) else next(iter(out)))
                if path.suffix:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text("{}\n")
                else:
                    path.mkdir(parents=True, exist_ok=True)
                    (path / "file").write_text("stands in\n")
    for key in ("images", "labels", "split_file"):
        path = folder / params["dataset"][key]
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("stands in\n")
    dvc(folder, "commit", "--force", "dvc.yaml")
    return len(stages)


def bare(folder: Path, stages: int) -> None:
    folder.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    dvc(folder, "init", "-q")
    (folder / "0.txt").write_text("start\n")
    chain = {
        f"stage{i}": {"cmd": f"cp {i}.txt {i + 1}.txt", "deps": [f"{i}.txt"], "outs": [f"{i + 1}.txt"]}
        for i in range(stages)
    }
    YAML().dump({"stages": chain}, folder / "dvc.yaml")
    dvc(folder, "repro")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        ours, peer = Path(name) / "ours", Path(name) / "bare"
        stages = stand_ins(ours)
        bare(peer, stages)
        timed = take_turns({"ours": lambda: nothing_to_do(ours), "bare": lambda: nothing_to_do(peer)}, rounds=5)
    rows = [
        rounds_row(
            f"dvc repro with nothing to do, against a bare pipeline of {stages} stages",
            timed.seconds["ours"],
            timed.seconds["bare"],
            floor=timed.median("bare"),
            unit="CPU s",
            most=1.5,
            command=COMMAND,
        )
    ]
    print_rows(rows)
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
