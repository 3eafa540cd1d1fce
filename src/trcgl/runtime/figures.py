"""Figures as PNG files. matplotlib without a display; file metadata is left out so that bytes repeat."""

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
        tight: cut to what is drawn, not to the figure's own size.
    """
    with written_beside(path) as beside:
        figure.savefig(beside, dpi=dpi, bbox_inches="tight" if tight else None, metadata={"Software": None})
    plt.close(figure)
