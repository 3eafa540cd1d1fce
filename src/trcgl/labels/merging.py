"""Fine labels merged into the classes of a class table, such as data/assets/cxrlt_classes.csv.

That table brings PadChest's 193 labels to the 30 classes of CXR-LT 2026. The challenge published no mapping: it is
ours, each class being its label with the descendants in PadChest's own label tree
(https://github.com/auriml/Rx-thorax-automatic-captioning, manual_review/trees_code.txt); where it is not, the table's
column `note` says why.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from trcgl.labels.cells import first_twins, name_key, names_nothing, say, say_disguised
from trcgl.labels.table import LabelTable
from trcgl.runtime.errors import InputError, and_more
from trcgl.runtime.letters import clean_text, odd_letters, seen_as
from trcgl.tables import read_columns


def read_class_table(path: str | Path) -> pd.DataFrame:
    """A class table (columns class, padchest_labels separated by '|') as pairs: class, label.

    Raises:
        InputError: not such a table, a class without a name or labels, a name with letters that look like others, or a
            class listed twice or in two spellings.
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
    """The table with the classes of a class table for labels.

    A class is present where one of its labels is, else unknown where one of them is, else absent. Labels in no class
    leave their rows as negatives; a class none of whose labels the data set knows is left out.

    Raises:
        InputError: see `read_class_table`; the data set knows none of the labels, or knows one in another spelling.
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
    """Stop on a label that would only seem to be in no row; a line says how many are in none.

    Raises:
        InputError: a label is the table's in another spelling, or several with another separator than '|'.
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
