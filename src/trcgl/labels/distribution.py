"""A plot of the long tail of a label table, before any filter (`trcgl labels --plot`)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

ROWS = 50
"""Labels in one column of the picture."""


def label_distribution(counts: pd.DataFrame, images: int) -> Figure:
    """Bar plot of the number of images with each label, most frequent first, in columns of ROWS bars.

    Args:
        counts: label, projection, count, as `label_counts` returns them.
        images: number of images in the table, for the title.
    """
    totals = counts.groupby("label")["count"].sum().sort_values(ascending=False, kind="stable")
    columns, rows = max(1, -(-len(totals) // ROWS)), min(len(totals), ROWS)
    figure, panels = plt.subplots(
        1, columns, figsize=(5.2 * columns, 0.19 * rows + 1.2), sharex=True, squeeze=False, layout="constrained"
    )
    for column, axes in enumerate(panels[0]):
        part = totals.iloc[column * ROWS : (column + 1) * ROWS]
        places = np.arange(len(part))
        axes.barh(places, part, color="#577590")
        for place, total in zip(places, part, strict=True):
            axes.text(max(total, 1), place, f" {total:,}", va="center", fontsize=6)
        axes.set_yticks(places, part.index, fontsize=7)
        # A linear scale would hide the tail. On a logarithmic scale, bars cannot be stacked by projection
        axes.set(xscale="log", xlim=(0.8, max(totals.max(), 1) * 4), ylim=(rows - 0.5, -0.5), xlabel="images")
    figure.suptitle(f"{len(totals)} labels of {images:,} images", fontsize=11)
    return figure
