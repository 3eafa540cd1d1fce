"""The file every benchmark leaves: machine, commit, and one row a question with its target."""

import os
import platform
from pathlib import Path

import torch

from trcgl.runtime.files import write_json
from trcgl.runtime.provenance import commit_of_code

Row = dict[str, object]


def row(
    question: str,
    ours: float,
    target: float,
    unit: str,
    command: str,
    *,
    better: str = "higher",
    peer: float | None = None,
    floor: float | None = None,
    ratio: float | None = None,
) -> Row:
    """One answer: it holds when `ours` (or `ratio`, where one is given) is on the better side of `target`.

    Args:
        better: higher | lower.
    """
    measured = ours if ratio is None else ratio
    holds = measured >= target if better == "higher" else measured <= target
    numbers = {"ours": ours, "peer": peer, "floor": floor, "ratio": ratio}
    rounded = {name: None if value is None else round(value, 4) for name, value in numbers.items()}
    return {
        "question": question, **rounded, "unit": unit, "target": target, "better": better, "holds": bool(holds),
        "command": command,
    }  # fmt: skip


def write_report(path: Path, rows: list[Row]) -> None:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"
    write_json(path, {"machine": machine, "commit": commit_of_code(), "rows": rows})
