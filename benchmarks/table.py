"""Put the results of the speed benchmarks into docs/performance.md and draw them.

PYTHONPATH=src python -m benchmarks.table
"""

from pathlib import Path

from benchmarks.__main__ import SPEED
from benchmarks.plot import draw

from trcgl.runtime.files import read_json, replace_between

DOCUMENT = Path("docs/performance.md")
RESULTS = Path("benchmarks/results")
WITH_PEERS_CODE = ("authors", "diffusers_lora")
"""Benchmarks that need a peer's code, whose place `python -m benchmarks` cannot know."""


def lines_of(name: str) -> list[str]:
    """The rows of one benchmark, or a line saying that it has not been run."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return [f"| {name}: not run | | | | | | |"]
    lines = []
    for row in read_json(path)["rows"]:
        ours, peer, floor, ratio = (
            "" if row[key] is None else f"{row[key]:g}" for key in ("ours", "peer", "floor", "ratio")
        )
        if row.get("spread"):
            ratio += " ({:g} to {:g})".format(*row["spread"])
        target = row["target"].removeprefix("ratio of ")
        lines.append(
            f"| {row['question']} ({row['unit']}) | {ours} | {peer} | {floor} | {ratio} | {target} | "
            f"{'yes' if row['holds'] else '**no**'} |"
        )
    return lines


def gpu_lines() -> list[str]:
    """The rows that were measured on a GPU, which have other columns."""
    lines = []
    for row in read_json(RESULTS / "gpu.json")["rows"]:
        cells = [f"{row['question']} ({row['unit']})", f"{row['ours']:g}"]
        if row["ratio"] is None:
            cells += ["" if row["floor"] is None else f"{row['floor']:g}", f"{row['teraflops']:g}"]
            cells += [f"{row['share_of_ceiling']:.0%}", "" if row["data_wait"] is None else f"{row['data_wait']:.1%}"]
        else:
            verdict = "holds" if row["holds"] else "does **not** hold"
            cells += [f"theirs {row['peer']:g}", "", f"ratio {row['ratio']:g}; {row['target']} {verdict}", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    head = [
        "| question (unit) | ours | peer | floor | ratio (quartiles) | target | holds |",
        "|---|---|---|---|---|---|---|",
    ]
    names = (*SPEED, *WITH_PEERS_CODE)
    lines = [line for name in names for line in lines_of(name)]
    replace_between(DOCUMENT, "speed", "\n".join([*head, *lines]) + "\n")
    gpu_head = [
        "| question (unit) | ours | network alone | TFLOP/s | of the ceiling | data wait |",
        "|---|---|---|---|---|---|",
    ]
    replace_between(DOCUMENT, "gpu", "\n".join([*gpu_head, *gpu_lines()]) + "\n")
    draw([row for name in names if (path := RESULTS / f"{name}.json").exists() for row in read_json(path)["rows"]])


if __name__ == "__main__":
    main()
