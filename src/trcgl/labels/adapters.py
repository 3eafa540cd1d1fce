"""Which adapter reads which data set: one for each name in `trcgl.config.DATASETS`."""

from collections.abc import Callable
from pathlib import Path

from trcgl.labels.chexpert import read_chexpert
from trcgl.labels.cxrlt import read_cxrlt
from trcgl.labels.folder import read_folder
from trcgl.labels.mimic import read_mimic
from trcgl.labels.nih import read_nih
from trcgl.labels.padchest import read_padchest
from trcgl.labels.table import LabelTable
from trcgl.labels.vindr import read_vindr

ADAPTERS: dict[str, Callable[[str | Path], LabelTable]] = {
    "phantom": read_padchest,
    "padchest": read_padchest,
    "nih": read_nih,
    "cxrlt": read_cxrlt,
    "chexpert": read_chexpert,
    "mimic": read_mimic,
    "vindr": read_vindr,
    "folder": read_folder,
}


def read_table(dataset: str, path: str | Path) -> LabelTable:
    """The label table of a data set named as in `dataset.name`."""
    return ADAPTERS[dataset](path)
