"""Figures as PNG files: matplotlib without a display, and without file metadata so that bytes repeat."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from trcgl.runtime.files import written_beside

MODEL_COLOURS = {"baseline": "#8c8c8c", "trcgl": "#c44e52"}


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 110, tight: bool = True) -> None:
    """Write a PNG, atomically, and close the figure.

    Args:
        tight: crop to what is drawn instead of keeping the figure's size.
    """
    with written_beside(path) as beside:
        figure.savefig(beside, dpi=dpi, bbox_inches="tight" if tight else None, metadata={"Software": None})
    plt.close(figure)
