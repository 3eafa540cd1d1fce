"""Which adapter reads which data set: `read_NAME` of `trcgl.labels.NAME` for each name in `trcgl.config.DATASETS`."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from trcgl.labels.table import LabelTable

SAME_AS = {"phantom": "padchest"}
"""Data sets in the format of another."""


def adapter_of(dataset: str) -> Callable[[str | Path], LabelTable]:
    """The function that reads the label file of a data set named as in `dataset.name`."""
    name = SAME_AS.get(dataset, dataset)
    return getattr(import_module(f"trcgl.labels.{name}"), f"read_{name}")


def read_table(dataset: str, path: str | Path) -> LabelTable:
    """The label table of a data set named as in `dataset.name`."""
    return adapter_of(dataset)(path)
