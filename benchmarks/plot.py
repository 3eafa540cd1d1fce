"""A picture of the results of the speed benchmarks, for docs/performance.md; benchmarks.table draws it.

Left, how far each ratio is from its target: a bar to the right of 1 holds, whichever direction is better. Right, the
share of the floor's speed that is reached, where a floor is known.
"""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from trcgl.runtime.figures import save_figure

FIGURE = Path("docs/figures/performance.png")
HOLDS, MISSES, FLOOR = "#2a9d8f", "#d1495b", "#577590"


def target(row: dict[str, Any]) -> float:
    return float(row["target"].removeprefix("ratio of ").split()[0])


def beyond(row: dict[str, Any]) -> float:
    """How many times better than its target a row is; below 1 it misses."""
    return row["ratio"] / target(row) if row["better"] == "higher" else target(row) / row["ratio"]


def share_of_floor(row: dict[str, Any]) -> float | None:
    """Our speed over the floor's; None without a floor."""
    if not row["floor"]:
        return None
    return row["ours"] / row["floor"] if row["better"] == "higher" else row["floor"] / row["ours"]


def figure(rows: list[dict[str, Any]]) -> Figure:
    """Rows with a ratio, in their order from top to bottom."""
    rows = [row for row in rows if row["ratio"] is not None][::-1]
    drawn, (targets, floors) = plt.subplots(
        1, 2, figsize=(13, 0.34 * len(rows) + 1.2), sharey=True, width_ratios=(3, 2), layout="constrained"
    )
    places = range(len(rows))
    values = [beyond(row) for row in rows]
    targets.barh(places, [value - 1 for value in values], left=1, color=[HOLDS if v >= 1 else MISSES for v in values])
    targets.axvline(1, color="black", lw=0.8)
    targets.set(xscale="log", title="times better than the target")
    targets.set_yticks(places, [_short(row["question"]) for row in rows], fontsize=7)
    for place, value in zip(places, values, strict=True):
        targets.text(value, place, f" {value:.2f} ", va="center", ha="left" if value >= 1 else "right", fontsize=6)
    targets.margins(x=0.12)
    shares = [share_of_floor(row) for row in rows]
    known = [(place, share) for place, share in zip(places, shares, strict=True) if share is not None]
    floors.barh([place for place, _ in known], [share for _, share in known], color=FLOOR)
    floors.axvline(1, color="black", lw=0.8)
    floors.set(title="share of the floor's speed", xlim=(0, 1.15))
    return drawn


def _short(question: str) -> str:
    return question if len(question) < 95 else question[:92] + "..."


def draw(rows: list[dict[str, Any]]) -> None:
    save_figure(figure(rows), FIGURE)
