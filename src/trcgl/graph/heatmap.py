"""Heat map of the co-occurrence of findings."""

from pathlib import Path

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from trcgl.graph.cooccurrence import Cooccurrence
from trcgl.runtime.figures import save_figure

NUMBERS_UP_TO = 20  # findings; with more, numbers in the cells are illegible


def draw_heatmap(cooccurrence: Cooccurrence, path: str | Path) -> None:
    """Draw P(column given row) as a PNG; up to 20 findings also get numbers. The diagonal is left blank."""
    names, shown = cooccurrence.names, cooccurrence.conditional.copy()
    np.fill_diagonal(shown, np.nan)
    positives = cooccurrence.counts.diagonal()
    side = 2.5 + 0.5 * min(len(names), 40)
    figure = Figure(figsize=(side + 1.2, side), layout="constrained")
    axes = figure.add_subplot()
    # A square-root scale: most pairs are rare, and all look white on a linear one
    image = axes.imshow(shown, cmap="Blues", norm=PowerNorm(0.5, 0.0, 1.0))
    size = 9 if len(names) <= NUMBERS_UP_TO else 5
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
    rows = [f"{name} ({count})" for name, count in zip(names, positives, strict=True)]
    axes.set_yticks(range(len(names)), rows, fontsize=size)
    axes.set_ylabel("given (training images)")
    axes.set_title("Share of the images with the row's finding that also show the column's", fontsize=10, loc="left")
    if len(names) <= NUMBERS_UP_TO:
        for i, j in np.ndindex(shown.shape):
            if i != j and cooccurrence.counts[i, j]:
                colour = "white" if shown[i, j] > 0.4 else "black"
                axes.text(j, i, f"{shown[i, j]:.2f}", ha="center", va="center", fontsize=7, color=colour)
    figure.colorbar(image, shrink=0.6)
    save_figure(figure, path, tight=False)
