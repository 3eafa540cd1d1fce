"""Heat map of the co-occurrence of findings."""

from pathlib import Path

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from trcgl.graph.cooccurrence import Cooccurrence
from trcgl.runtime.figures import save_figure

NUMBERS_UP_TO = 20  # findings; with more, numbers in the cells are illegible
NAMES_UP_TO = 40
"""Maximum number of findings drawn; with more, names are illegible, so those with the closest partners are drawn."""
TOGETHER = 5
"""Images that a pair must share to count as close: for a finding in two images, a share of 0.5 is only one image."""


def draw_heatmap(cooccurrence: Cooccurrence, path: str | Path) -> None:
    """Draw P(column given row) as a PNG; up to 20 findings also get numbers. The diagonal is left blank.

    With more than 40 findings, only the 40 with the largest share of images in common with another finding are drawn,
    in the order of the table; the title says so.
    """
    drawn = _with_partners(cooccurrence)
    names, counts = [cooccurrence.names[i] for i in drawn], cooccurrence.counts[np.ix_(drawn, drawn)]
    shown = cooccurrence.conditional[np.ix_(drawn, drawn)]
    np.fill_diagonal(shown, np.nan)
    positives, part = counts.diagonal(), len(drawn) < len(cooccurrence.names)
    side = 2.5 + (0.3 if part else 0.5) * len(names)
    figure = Figure(figsize=(side + 1.2, side), layout="constrained")
    axes = figure.add_subplot()
    # A square-root scale: most pairs are rare, and all look white on a linear one
    image = axes.imshow(shown, cmap="Blues", norm=PowerNorm(0.5, 0.0, 1.0))
    size = 9 if len(names) <= NUMBERS_UP_TO else 8 if part else 5
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
    rows = [f"{name} ({count})" for name, count in zip(names, positives, strict=True)]
    axes.set_yticks(range(len(names)), rows, fontsize=size)
    axes.set_ylabel("given (training images)")
    title = "Share of the images with the row's finding that also show the column's"
    if part:
        title += f"\n{len(names)} of {len(cooccurrence.names)} findings: those that come closest to another"
    axes.set_title(title, fontsize=10, loc="left")
    if len(names) <= NUMBERS_UP_TO:
        for i, j in np.ndindex(shown.shape):
            if i != j and counts[i, j]:
                colour = "white" if shown[i, j] > 0.4 else "black"
                axes.text(j, i, f"{shown[i, j]:.2f}", ha="center", va="center", fontsize=7, color=colour)
    figure.colorbar(image, shrink=0.6)
    save_figure(figure, path, tight=False)


def _with_partners(cooccurrence: Cooccurrence) -> np.ndarray:
    """Indices of the findings to draw: all, or the NAMES_UP_TO with the largest conditional, in either direction."""
    share = np.where(cooccurrence.counts >= TOGETHER, cooccurrence.conditional, 0.0)
    np.fill_diagonal(share, 0.0)
    closest = np.maximum(share.max(axis=0, initial=0.0), share.max(axis=1, initial=0.0))
    return np.sort(np.argsort(-closest, kind="stable")[:NAMES_UP_TO])
