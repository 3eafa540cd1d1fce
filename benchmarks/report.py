"""The file every benchmark leaves: machine, commit, and one row a question with its target."""

import os
import platform
from pathlib import Path

import torch

from trcgl.runtime.files import write_json
from trcgl.runtime.provenance import commit_of_code

Row = dict[str, object]


def result_row(question: str, value: float, low: float, high: float, unit: str, command: str) -> Row:
    """A value that shall lie between `low` and `high`; a `high` of 1 or more means the more the better."""
    return {
        "question": question,
        "ours": round(float(value), 4),
        "peer": None,
        "floor": None,
        "unit": unit,
        "ratio": None,
        "target": f"{low:g} to {high:g}",
        "better": "higher" if high >= 1 else "lower",
        "holds": bool(low <= value <= high),
        "command": command,
    }


def ratio_row(question: str, ours: float, peer: float, least: float, unit: str, command: str) -> Row:
    """A value that shall be at least `least` times its peer."""
    ratio = float(ours) / float(peer)
    return {
        "question": question,
        "ours": round(float(ours), 4),
        "peer": round(float(peer), 4),
        "floor": None,
        "unit": unit,
        "ratio": round(ratio, 4),
        "target": f"ratio of {least:g} or more",
        "better": "higher",
        "holds": bool(ratio >= least),
        "command": command,
    }


def write_results(path: Path, rows: list[Row]) -> None:
    """Write the rows with the machine and the commit of the code that was measured."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"
    write_json(path, {"machine": machine, "commit": commit_of_code(), "rows": rows})
