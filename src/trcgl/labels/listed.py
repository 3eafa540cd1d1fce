"""Label tables with one column that lists the labels of an image; a label that is not listed is absent."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.cells import is_missing, say
from trcgl.labels.label_names import HAS_NO_NAME, checked_names
from trcgl.labels.label_text import split_labels
from trcgl.labels.table import LabelTable, assemble, first_reason, label_pairs, no_pairs
from trcgl.runtime.errors import InputError

NO_LIST = "labels are not a list of texts"


def assemble_listed(
    path: Path,
    rows: pd.DataFrame,
    texts: pd.Series,
    *,
    normal: Sequence[str],
    read: Callable[[str], list[str] | None] = split_labels,
    like: str = "Mass|Nodule",
    empty: str = "labels missing",
) -> LabelTable:
    """The table of rows whose labels are listed.

    Rejected, besides the rows that `assemble` rejects: rows whose text stands for a missing value or is not a list,
    rows with an empty list, and rows whose list contains an entry that names nothing, such as NA.

    Args:
        path: the label table, for messages.
        rows: every data row of the source, with those of ROW_COLUMNS that it states.
        texts: the list of each row, as in the source; the name of the series is the name of the column.
        normal: labels by which the source may say "nothing found"; the first one that occurs is used.
        read: a function from a text to its labels, or to None if the text is not a list.
        like: an example of a list that `read` accepts, for messages.
        empty: the rejection reason for rows with an empty list.

    Raises:
        InputError: no row has a list, or a label is not valid (see `checked_names`).
    """
    # Very many rows share few different texts
    codes, different = pd.factorize(texts)
    missing = is_missing(pd.Series(different, dtype="str"))
    lists = [[] if absent else read(text) for text, absent in zip(different, missing, strict=True)]
    no_list = np.array([labels is None for labels in lists])

    def row_of(code: int) -> int:
        return int(np.argmax(codes == code)) + 1

    if no_list.any():
        code = int(np.argmax(no_list))
        said = f"{path}: row {row_of(code)}: {texts.name} '{different[code][:80]}' is not a list of labels"
        if not any(lists):
            raise InputError(f"{said}, and no row has one; write lists like {like}")
        say(f"{said}; rows rejected for it: {no_list[codes].sum()}")
    names = checked_names(path, str(texts.name), [labels or [] for labels in lists], row_of, like=like)
    nameless = np.array([HAS_NO_NAME in labels for labels in names])
    usable = [[] if HAS_NO_NAME in labels else labels for labels in names]
    positives = label_pairs(rows["row"].to_numpy(), codes, usable)
    vocabulary = positives["label"].cat.categories
    return assemble(
        rows,
        positives,
        no_pairs(positives),
        no_pairs(positives),
        source=path,
        normal=next((name for name in normal if name in vocabulary), normal[0]),
        label_reasons=first_reason(
            ("labels missing", missing[codes]),
            (NO_LIST, no_list[codes]),
            ("a label of the list is missing", nameless[codes]),
            (empty, np.array([labels == [] for labels in lists])[codes]),
        ),
        # Lists with the same labels in another order are the same
        content=pd.Series(np.array(["|".join(sorted(labels)) for labels in usable], object)[codes], rows.index),
    )
