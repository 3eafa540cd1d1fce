"""Label tables with one column that lists the labels of an image: what is not listed is absent."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from trcgl.labels.table import LabelTable, assemble, first_reason, label_pairs, no_pairs


def split_labels(text: str) -> list[str]:
    """The labels of a text with '|' between them: stripped, no empty one, no repetition, in order."""
    return list(dict.fromkeys(part.strip() for part in text.split("|") if part.strip()))


def assemble_listed(
    rows: pd.DataFrame,
    texts: pd.Series,
    *,
    normal: Sequence[str],
    read: Callable[[str], list[str] | None] = split_labels,
    empty: str = "labels missing",
    reasons: Sequence[tuple[str, "pd.Series | np.ndarray"]] = (),
) -> LabelTable:
    """The table of rows whose labels are listed.

    Rejected, besides what `assemble` rejects: rows whose text is not a list, and rows that list nothing.

    Args:
        rows: every data row of the source, with those of ROW_COLUMNS that it states.
        texts: the list of each row, as it stands in the source.
        normal: what the source may call "nothing found"; the first that occurs counts.
        read: a text -> its labels; None if it is not a list.
        empty: the reason of rows that list nothing.
        reasons: reason and the rows that it holds for, before those above.
    """
    # Few different texts stand in very many rows
    codes, different = pd.factorize(texts)
    lists = [read(text) for text in different]
    positives = label_pairs(rows["row"].to_numpy(), codes, [labels or [] for labels in lists])
    vocabulary = positives["label"].cat.categories
    return assemble(
        rows,
        positives,
        no_pairs(positives),
        no_pairs(positives),
        normal=next((name for name in normal if name in vocabulary), normal[0]),
        label_reasons=first_reason(
            *reasons,
            ("labels are not a list of texts", np.array([labels is None for labels in lists])[codes]),
            (empty, np.array([labels == [] for labels in lists])[codes]),
        ),
        content=texts,
    )
