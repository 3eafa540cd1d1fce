"""Fine labels merged into the classes of a class table, such as data/assets/cxrlt_classes.csv.

That table maps PadChest's 193 labels to the 30 classes of CXR-LT 2026. The challenge published no mapping, so this one
is our own. Each class is its label together with the descendants in PadChest's own label tree
(https://github.com/auriml/Rx-thorax-automatic-captioning, manual_review/trees_code.txt); the table's column `note`
explains the exceptions.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from trcgl.labels.cells import first_twins, name_key, say, say_disguised
from trcgl.labels.table import LabelTable
from trcgl.runtime.errors import InputError, and_more
from trcgl.runtime.letters import clean_text, odd_letters, seen_as
from trcgl.tables import names_nothing, read_columns


def read_class_table(path: str | Path) -> pd.DataFrame:
    """A class table (columns class, padchest_labels separated by '|') as pairs: class, label.

    Raises:
        InputError: the file is not such a table; a class has no name or no labels; a name has look-alike letters; a
            class is listed twice or in two spellings.
    """
    path = Path(path)
    table = read_columns(path, ("class", "padchest_labels"), what="a class table")
    for row, (name, labels) in enumerate(zip(table["class"], table["padchest_labels"], strict=True), start=1):
        if names_nothing(name) or names_nothing(labels):
            raise InputError(f"{path}: row {row}: a class needs a name and at least one label")
        wrong = next(((text, said) for text in (name, labels) if (said := odd_letters(clean_text(text)))), None)
        if wrong:
            raise InputError(f"{path}: row {row}: '{wrong[0]}' {wrong[1]}")
    twice = table["class"].duplicated().to_numpy(bool)
    if twice.any():
        row = int(twice.argmax())
        raise InputError(
            f"{path}: row {row + 1}: class '{table['class'].iloc[row]}' has a row already; put its labels into one"
        )
    twins = first_twins(table["class"])
    if twins:
        one, other = (f"'{name}'{seen_as(name)}" for name in twins)
        raise InputError(f"{path}: classes {one} and {other} are one class in two spellings; keep one")
    say_disguised(f"{path}:", [*table["class"], *table["padchest_labels"]])
    pairs = table.assign(label=table["padchest_labels"].str.split("|")).explode("label")[["class", "label"]]
    return pairs.assign(label=pairs["label"].str.strip()).reset_index(drop=True)


def merge_labels(table: LabelTable, path: str | Path) -> LabelTable:
    """The table with its labels replaced by the classes of a class table.

    A class is present if one of its labels is present; otherwise it is unknown if one of them is unknown; otherwise it
    is absent. Rows whose labels belong to no class stay as negatives. A class is left out if the data set has none of
    its labels.

    Raises:
        InputError: see `read_class_table`; the data set has none of the labels, or has one in another spelling.
    """
    pairs = read_class_table(path)
    _check_labels(path, pairs["label"], table.vocabulary)
    pairs = pairs[pairs["label"].isin(table.vocabulary)]
    if pairs.empty:
        raise InputError(f"{path}: none of its labels occurs in the label table; give the class table of this data set")
    classes = pairs["class"].drop_duplicates().to_list()

    def merged(frame: pd.DataFrame) -> pd.DataFrame:
        found = frame.astype({"label": "str"}).merge(pairs, on="label").drop_duplicates(["row", "class"])
        return pd.DataFrame({"row": found["row"], "label": pd.Categorical(found["class"], categories=classes)})

    return replace(
        table,
        positives=merged(table.positives),
        uncertain=merged(table.uncertain),
        unknowns=merged(table.unknowns),
    )


def _check_labels(path: str | Path, labels: pd.Series, vocabulary: Sequence[str]) -> None:
    """Stop if a label seems to be in no row only because of how it is written; log how many labels are in no row.

    Raises:
        InputError: a label has another spelling in the label table, or is several labels separated by another sign
            than '|'.
    """
    known = {name_key(name): name for name in vocabulary}
    strangers = [label for label in dict.fromkeys(labels) if label and label not in vocabulary]
    for label in strangers:
        same = known.get(name_key(label))
        if same is not None:
            raise InputError(
                f"{path}: the label '{label}'{seen_as(label)} is '{same}' in the label table; write both in one way"
            )
        if any(part.strip() in vocabulary for part in re.split(r"[,;/]", label)):
            raise InputError(f"{path}: '{label}' seems to be several labels; separate them by '|'")
    if strangers:
        say(f"{path}: label '{strangers[0]}' is in no row of the label table{and_more(len(strangers) - 1)}")
