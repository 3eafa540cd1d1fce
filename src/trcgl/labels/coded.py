"""Label tables with one column per finding: 1 present, 0 absent, -1 uncertain, blank unknown."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.table import LabelTable, assemble, first_reason
from trcgl.runtime.errors import InputError

PRESENT, ABSENT, UNCERTAIN, NOT_TOLD, NO_CODE = 1, 0, -1, -2, -3
CODES = {"1": PRESENT, "0": ABSENT, "-1": UNCERTAIN, "": NOT_TOLD, "nan": NOT_TOLD}
# Of a column that some program has read as numbers and written again
CODES |= {f"{text}.0": code for text, code in CODES.items() if code > NOT_TOLD}


def read_codes(columns: pd.DataFrame) -> np.ndarray:
    """int8, rows x columns, of PRESENT, ABSENT, UNCERTAIN, NOT_TOLD, and NO_CODE for any other text."""
    codes = np.empty(columns.shape, np.int8, order="F")
    for position, name in enumerate(columns):
        places, texts = pd.factorize(columns[name])
        codes[:, position] = np.array([CODES.get(text, NO_CODE) for text in texts], np.int8)[places]
    return codes


def check_coded(path: Path, columns: pd.DataFrame, codes: np.ndarray, what: str) -> None:
    """Stop on a column that holds no 0 or 1 anywhere: it is not a class of the table, but something else.

    Raises:
        InputError: names the file and the column; or there is no column.
    """
    if columns.empty:
        raise InputError(f"{path}: has no class column; expected {what}")
    stated = np.isin(codes, (PRESENT, ABSENT)).any(axis=0)
    if not stated.all():
        name = columns.columns[int(np.argmin(stated))]
        raise InputError(
            f"{path}: column '{name}' holds no 0 or 1 (its first value is '{columns[name].iloc[0]}'), so it is not a "
            f"class of {what}; remove it"
        )


def assemble_coded(
    rows: pd.DataFrame,
    codes: np.ndarray,
    findings: Sequence[str],
    *,
    normal: str,
    reasons: Sequence[tuple[str, "pd.Series | np.ndarray"]] = (),
) -> LabelTable:
    """The table of rows with coded labels.

    Rejected, besides what `assemble` rejects: rows with a value that is not a code, and rows that state no finding.

    Args:
        rows: every data row of the source, with those of ROW_COLUMNS that it tells.
        codes: int8, rows x findings, as `read_codes` returns them.
        reasons: reason and the rows that it holds for, before those above.
    """
    numbers = rows["row"].to_numpy()
    return assemble(
        rows,
        *(_pairs(numbers, codes == code, findings) for code in (PRESENT, UNCERTAIN, NOT_TOLD)),
        normal=normal,
        label_reasons=first_reason(
            *reasons,
            ("label value is not 1, 0, -1 or blank", (codes == NO_CODE).any(axis=1)),
            ("no label", (codes == NOT_TOLD).all(axis=1)),
        ),
        content=pd.util.hash_pandas_object(pd.DataFrame(codes), index=False),
    )


def _pairs(numbers: np.ndarray, holds: np.ndarray, findings: Sequence[str]) -> pd.DataFrame:
    row, column = np.nonzero(holds)
    labels = pd.Categorical.from_codes(column, categories=pd.Index(list(findings)))
    return pd.DataFrame({"row": numbers[row], "label": labels})
