"""Which adapter reads which data set."""

from collections.abc import Callable
from pathlib import Path

from trcgl.labels.cxrlt import read_cxrlt
from trcgl.labels.nih import read_nih
from trcgl.labels.padchest import read_padchest
from trcgl.labels.table import LabelTable

ADAPTERS: dict[str, Callable[[str | Path], LabelTable]] = {
    "phantom": read_padchest,
    "padchest": read_padchest,
    "nih": read_nih,
    "cxrlt": read_cxrlt,
}


def read_table(dataset: str, path: str | Path) -> LabelTable:
    """The label table of a data set named as in `dataset.name`."""
    return ADAPTERS[dataset](path)
