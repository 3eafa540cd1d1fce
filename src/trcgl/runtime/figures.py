"""Figures as PNG files: matplotlib without a display, and no file metadata, so that the bytes are reproducible."""

import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
if os.environ.get("MATPLOTLIBRC") == os.devnull:
    # Set by `run_stage`; a matplotlibrc in the current folder would count all the same
    matplotlib.rcdefaults()
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

from trcgl.runtime.files import written_beside
from trcgl.runtime.logging import get_logger

MODEL_COLOURS = {"baseline": "#8c8c8c", "trcgl": "#c44e52"}
LONGEST = 60
"""Signs of a name at an axis: a longer one leaves no room for what is drawn."""
COLUMN_ENTRIES = 60
"""Findings above one another in a picture: more do not fit on a screen, or their names cannot be read."""
FORMULA = r"$\mathdefault"
MISSING = re.compile(r"Glyph (\d+) .*missing from")
log = get_logger("figures")


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 110, tight: bool = True) -> None:
    """Write a PNG atomically and close the figure. Matplotlib's warnings are logged with the file's name.

    Args:
        tight: crop to the content instead of keeping the figure's size.
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            _shorten(axis)
    for text in figure.findobj(Text):
        # A dollar sign in a finding's name is literal; only the labels of logarithmic axes are formulas
        if isinstance(text, Text) and "$" in text.get_text() and FORMULA not in text.get_text():
            text.set_parse_math(False)
    with written_beside(path) as beside, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(beside, dpi=dpi, bbox_inches="tight" if tight else None, metadata={"Software": None})
    plt.close(figure)
    said = {str(one.message) for one in caught}
    missing = {match[1] for text in said if (match := MISSING.match(text))}
    if missing:
        signs = " ".join(chr(int(code)) for code in sorted(missing, key=int))
        log.warning("%s: the font lacks %d signs, which are drawn as boxes: %s", path, len(missing), signs)
    for text in sorted(text for text in said if not MISSING.match(text)):
        log.warning("%s: %s", path, text)


def legend_in_first(panels: Iterable[Axes]) -> None:
    """A legend in the first panel that shows something with a name."""
    for axes in panels:
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
            return


def columns_of(count: int) -> list[np.ndarray]:
    """Distribute a long list of bars over the columns of a figure; up to COLUMN_ENTRIES bars form one column."""
    return np.array_split(np.arange(count), max(1, -(-count // COLUMN_ENTRIES)))


def _shorten(axis: Axis) -> None:
    whole = axis.get_major_formatter()
    texts = [text for text in axis.findobj(Text) if text is not axis.label]
    if any(isinstance(text, Text) and len(text.get_text()) > LONGEST for text in texts):
        axis.set_major_formatter(FuncFormatter(lambda value, place: _short(whole(value, place))))


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."
