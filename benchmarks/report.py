"""The file that every benchmark writes: machine, commit, and one row per question with its target."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from trcgl.runtime.files import write_json
from trcgl.runtime.provenance import commit_of_code

Row = dict[str, object]


def result_row(question: str, value: float, low: float, high: float, unit: str, command: str) -> Row:
    """A value that must lie between `low` and `high`; with a `high` of 1 or more, a higher value is better."""
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
    """A value that must be at least `least` times its peer's."""
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


def speed_row(
    question: str,
    *,
    ours: float,
    peer: float | None,
    floor: float | None,
    unit: str,
    ratios: "np.ndarray | list[float]",
    most: float | None = None,
    least: float | None = None,
    command: str,
) -> Row:
    """A cost (at most `most`) or a rate (at least `least`) as a multiple of its peer's, round by round.

    Args:
        ratios: one per round; the median is compared with the target, the quartiles are the spread.
        floor: the bound that no implementation of the same work can beat, in `unit`.
    """
    low, ratio, high = (float(v) for v in np.percentile(ratios, (25, 50, 75)))
    bound = least if most is None else most
    assert bound is not None, "a row has a target"
    return {
        "question": question,
        "ours": _rounded(ours),
        "peer": None if peer is None else _rounded(peer),
        "floor": None if floor is None else _rounded(floor),
        "unit": unit,
        "ratio": _rounded(ratio),
        "spread": [_rounded(low), _rounded(high)],
        "target": f"ratio of {bound:g} or {'more' if most is None else 'less'}",
        "better": "higher" if most is None else "lower",
        "holds": bool(ratio >= bound if most is None else ratio <= bound),
        "command": command,
    }


def rounds_row(
    question: str,
    ours: Sequence[float] | np.ndarray,
    peer: Sequence[float] | np.ndarray,
    *,
    floor: float | None = None,
    unit: str,
    most: float | None = None,
    least: float | None = None,
    command: str,
) -> Row:
    """`speed_row` of what was measured in turns: a value of each rival per round."""
    ours, peer = np.asarray(ours), np.asarray(peer)
    return speed_row(
        question,
        ours=float(np.median(ours)),
        peer=float(np.median(peer)),
        floor=floor,
        unit=unit,
        ratios=ours / peer,
        most=most,
        least=least,
        command=command,
    )


def memory_row(question: str, peaks: Sequence[float], command: str, floor: float | None = None) -> Row:
    """Peak memory in MB of a small and of a ten times larger task: it may grow by a tenth."""
    few, many = peaks
    return speed_row(
        question, ours=many, peer=few, floor=floor, unit="MB", ratios=[many / few], most=1.1, command=command
    )  # fmt: skip


def skipped_row(question: str, reason: str, unit: str, target: str, better: str, command: str) -> Row:
    """A question whose peer is not installed: nothing was measured, so the target does not hold."""
    return {
        "question": f"{question} (skipped: {reason})",
        "ours": None,
        "peer": None,
        "floor": None,
        "unit": unit,
        "ratio": None,
        "target": target,
        "better": better,
        "holds": False,
        "command": command,
    }


def _rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{float(value):.4g}")


def print_rows(rows: list[Row]) -> None:
    """Print a short table: ours, peer, floor, ratio with its quartiles, target."""
    print(f"{'ours':>9} {'peer':>9} {'floor':>9}  {'ratio (quartiles)':<24} {'':5} question")
    for row in rows:
        ours, peer, floor = ("-" if row[key] is None else f"{row[key]:g}" for key in ("ours", "peer", "floor"))
        low, high = row.get("spread") or (None, None)  # pyright: ignore[reportGeneralTypeIssues]
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:g}" + (f" ({low:g} to {high:g})" if low else "")
        verdict = "holds" if row["holds"] else "MISS"
        about = f"{row['question']} [{row['unit']}; {row['target']}]"
        print(f"{ours:>9} {peer:>9} {floor:>9}  {ratio:<24} {verdict:5} {about}")


def write_results(path: Path, rows: list[Row], accelerator: str | None = None) -> None:
    """Write the rows with the machine and the commit of the measured code."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, torch {version('torch')}"
    if accelerator is not None:
        machine = f"{accelerator}, {machine}"
    write_json(path, {"machine": machine, "commit": commit_of_code(), "rows": rows})
