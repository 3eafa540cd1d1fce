"""Phrases for labels in radiological English: the prompts of the text-to-image model."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from trcgl.runtime.errors import InputError
from trcgl.runtime.letters import clean_text, odd_letters
from trcgl.tables import names_nothing, read_columns


def phrases(labels: Iterable[str], vocabulary: str | Path) -> dict[str, str]:
    """The phrase of each label; for a label without an entry it is the label itself, with spaces for underscores.

    Args:
        vocabulary: a CSV table with columns label and phrase, such as data/assets/padchest_vocabulary.csv (PadChest's
            193 labels, then those of NIH ChestX-ray14 and of CXR-LT that PadChest does not have).

    Raises:
        InputError: the file is not such a table; a row lacks the label or the phrase; a label has two rows; a text
            contains letters that look like other letters.
    """
    table = read_vocabulary(vocabulary)
    known = dict(zip(table["label"], table["phrase"], strict=True))
    return {label: known.get(label, label.replace("_", " ")) for label in labels}


def all_phrases(vocabulary: str | Path) -> list[str]:
    """Every phrase of a vocabulary file, in its order."""
    return read_vocabulary(vocabulary)["phrase"].tolist()


def read_vocabulary(path: str | Path) -> pd.DataFrame:
    """Columns label and phrase of a vocabulary file.

    Raises:
        InputError: see `phrases`.
    """
    table = read_columns(Path(path), ("label", "phrase"), what="a vocabulary")
    seen: set[str] = set()
    for row, texts in enumerate(zip(table["label"], table["phrase"], strict=True), start=1):
        for text in map(clean_text, texts):
            wrong = odd_letters(text)
            if wrong:
                raise InputError(f"{path}: row {row}: '{text}' {wrong}")
        label, phrase = texts
        if names_nothing(label):
            raise InputError(f"{path}: row {row}: has no label; write the label table's name of the finding")
        if names_nothing(phrase):
            # A prompt with an empty phrase would be that of an image without findings
            raise InputError(f"{path}: row {row}: label '{label}' has no phrase ('{phrase}'); write one, or leave the "
                             "row out: the label itself is then the phrase")  # fmt: skip
        if label in seen:
            raise InputError(f"{path}: row {row}: label '{label}' has a row already; keep one")
        seen.add(label)
    return table
