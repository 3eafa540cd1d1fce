"""What labels are called in a radiologist's English: the text that a text-to-image model is prompted with."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from trcgl.labels.read import read_columns

ASSETS = Path(__file__).parents[3] / "data" / "assets"
PHRASE_FILES = (ASSETS / "padchest_vocabulary.csv", ASSETS / "nih_cxrlt_vocabulary.csv")


@cache
def _vocabulary() -> dict[str, str]:
    phrases: dict[str, str] = {}
    for file in PHRASE_FILES:
        table = read_columns(file, ("label", "phrase"), what="a vocabulary")
        phrases.update(zip(table["label"], table["phrase"], strict=True))
    return phrases


def phrases(labels: Iterable[str]) -> dict[str, str]:
    """The phrase of each label; a label without an entry speaks for itself, with spaces for underscores."""
    known = _vocabulary()
    return {label: known.get(label, label.replace("_", " ")) for label in labels}
