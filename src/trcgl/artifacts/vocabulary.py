"""What labels are called in a radiologist's English: the text that a text-to-image model is prompted with."""

from collections.abc import Iterable
from pathlib import Path

from trcgl.tables import read_columns


def phrases(labels: Iterable[str], vocabulary: str | Path) -> dict[str, str]:
    """The phrase of each label; a label without an entry speaks for itself, with spaces for underscores.

    Args:
        vocabulary: a CSV table with columns label and phrase, such as data/assets/padchest_vocabulary.csv (PadChest's
            193 labels, then those of NIH ChestX-ray14 and of CXR-LT that PadChest does not have).

    Raises:
        InputError: not such a table.
    """
    table = read_columns(Path(vocabulary), ("label", "phrase"), what="a vocabulary")
    known = dict(zip(table["label"], table["phrase"], strict=True))
    return {label: known.get(label, label.replace("_", " ")) for label in labels}


def all_phrases(vocabulary: str | Path) -> list[str]:
    """Every phrase of a vocabulary file, in its order."""
    return read_columns(Path(vocabulary), ("label", "phrase"), what="a vocabulary")["phrase"].tolist()
