"""The figure of a study."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure


def difference_forest(
    summary: pd.DataFrame, metric: str, panels: Mapping[str, str], *, over: str | None = None
) -> Figure:
    """Differences between arms and their references with intervals: one line per comparison, in the table's order.

    Args:
        summary: arm, reference, metric, difference, low, high, seeds.
        panels: arm -> title of its panel; panels are stacked and share one scale.
        over: what the intervals are taken over, for the axis label; None: seeds and patients, or patients alone where
            there is one seed.
    """
    rows = summary[summary["metric"] == metric]
    shown = {title: rows[rows["arm"].map(panels) == title] for title in dict.fromkeys(panels.values())}
    shown = {title: part for title, part in shown.items() if len(part)}
    if not shown:
        figure = plt.figure(figsize=(7.5, 1.2))
        figure.suptitle("no arm and its reference have run yet", fontsize=9)
        return figure
    most = int(rows["seeds"].max())
    heights = [len(part) + 1 for part in shown.values()]
    figure, grid = plt.subplots(
        len(shown), 1, sharex=True, squeeze=False, figsize=(7.5, 0.32 * sum(heights) + 1.2),
        gridspec_kw={"height_ratios": heights}, layout="constrained",
    )  # fmt: skip
    for axes, (title, part) in zip(grid[:, 0], shown.items(), strict=True):
        place = np.arange(len(part))
        clear = (part["low"] > 0) | (part["high"] < 0)
        colours = np.where(clear, "#c44e52", "#8c8c8c").tolist()
        axes.hlines(place, part["low"], part["high"], colors=colours, lw=2)
        axes.scatter(part["difference"], place, color=colours, s=25, zorder=3)
        axes.axvline(0, color="black", lw=0.8)
        labels = [f"{arm} - {other}" for arm, other in zip(part["arm"], part["reference"], strict=True)]
        if over is None:
            labels = [label + (f" ({n} of {most} seeds)" if n < most else "")
                      for label, n in zip(labels, part["seeds"], strict=True)]  # fmt: skip
        axes.set_yticks(place, labels, fontsize=8)
        axes.set_ylim(len(part) - 0.5, -0.5)
        axes.set_title(title, fontsize=9, loc="left")
        axes.grid(axis="x", lw=0.3)
    over = over or ("seeds and patients" if most > 1 else "patients, one seed")
    grid[-1, 0].set_xlabel(f"difference in {metric}, 95 % interval over {over} (grey: includes 0)")
    return figure
