"""The figure of the gain per finding against the number of images of it in the base generator's training data."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure


def gain_against_films_seen(gains: pd.DataFrame, what: str) -> Figure:
    """Gain in AP, with its interval, against the number of images that the base had seen, on a logarithmic scale.

    Args:
        gains: finding, seen (at least 1), difference, low, high.
        what: which arms are compared, for the title.
    """
    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    axes.vlines(gains["seen"], gains["low"], gains["high"], colors="#4c72b0", lw=2)
    axes.scatter(gains["seen"], gains["difference"], color="#4c72b0", s=30, zorder=3)
    for _, row in gains.iterrows():
        place = (float(row["seen"]), float(row["difference"]))
        axes.annotate(str(row["finding"]), place, xytext=(6, 4), textcoords="offset points", fontsize=8)
    axes.axhline(0, color="black", lw=0.8)
    axes.set_xscale("log")
    axes.set_xlim(float(gains["seen"].min()) / 2, float(gains["seen"].max()) * 4)
    axes.set_xticks(gains["seen"], [str(seen) for seen in gains["seen"]], minor=False, fontsize=8)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("films labelled with the finding that the base had seen")
    axes.set_ylabel("gain in AP")
    axes.set_title(f"{what}, 95 % interval over replicates", fontsize=9, loc="left")
    axes.grid(lw=0.3)
    return figure
