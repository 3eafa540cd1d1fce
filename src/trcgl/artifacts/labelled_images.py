"""Joins cached images with their labels; training, generator, audit and evaluation all read them this way."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger

LABELS = Path("data/labels/labels.parquet")
log = get_logger("labels")


@dataclass(frozen=True)
class LabelledImages:
    """Rows of the label table whose images are cached.

    Attributes:
        rows: N rows of the table, in its order, numbered from 0.
        class_names: C findings.
        targets: float32 [N, C] of 1, 0 and NaN (unknown).
    """

    rows: pd.DataFrame
    class_names: tuple[str, ...]
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> list[str]:
        """N image names."""
        return self.rows["image"].tolist()

    def split(self, name: str) -> np.ndarray:
        """int [n], row numbers of the images of a split."""
        return np.flatnonzero(self.rows["split"] == name)


def labelled_images(
    table: pd.DataFrame,
    class_names: Sequence[str],
    cached: Collection[str],
    splits: Collection[str] | None = None,
    *,
    file: str | Path = LABELS,
    named_by: str = "classes.json names; run dvc repro parse_labels",
) -> LabelledImages:
    """Join the label table with the cached images; images without pixels (unreadable) are left out and logged.

    Args:
        table: labels.parquet: image, split and a column per finding, among others.
        cached: names of the images that have pixels.
        splits: only rows of these splits are used; None: rows of all splits.
        file: path of the table, for messages.
        named_by: what asks for the findings and what to do if one is missing, for messages.

    Raises:
        InputError: a finding is not a column of the table.
    """
    missing = [name for name in class_names if name not in table.columns]
    if missing:
        raise InputError(f"{file}: no column '{missing[0]}', which {named_by}")
    asked = table if splits is None else table[table["split"].isin(list(splits))]
    rows = asked[asked["image"].isin(set(cached))].reset_index(drop=True)
    if len(rows) < len(asked):
        lost = asked.loc[~asked["image"].isin(set(rows["image"])), "image"].tolist()
        of = "" if splits is None else f" ({', '.join(splits)})"
        log.warning(
            "%d of %d labelled images%s have no pixels and are left out, such as %s",
            len(lost), len(asked), of, ", ".join(map(str, lost[:3])),
        )  # fmt: skip
    return LabelledImages(
        rows=rows,
        class_names=tuple(class_names),
        targets=rows[list(class_names)].to_numpy(dtype=np.float32, na_value=np.nan),
    )
