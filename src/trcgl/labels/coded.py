"""Label tables with one column per finding: 1 present, 0 absent, -1 uncertain, blank unknown."""

import bisect
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.cells import first_twins, misread, name_key, say, say_disguised
from trcgl.labels.doubt import in_doubt
from trcgl.labels.table import ROW_COLUMNS, LabelTable, assemble, first_reason
from trcgl.runtime.errors import InputError
from trcgl.runtime.letters import odd_letters, seen_as
from trcgl.tables import INDEX_NAME, NOT_A_VALUE, check_spelling

PRESENT, ABSENT, UNCERTAIN, UNSTATED, NO_CODE = 1, 0, -1, -2, -3
SILENT = "no label"
Place = Callable[[int], str]
"""Index of a row -> its file and row, for messages."""
# The forms in which programs write a column that they read as numbers (with a point or a comma) or as truth values
CODES = {
    re.compile(r"\+?0*1(?:[.,]0*)?(?:e[+-]?0+)?|true"): PRESENT,
    re.compile(r"[+-]?0+(?:[.,]0*)?(?:e[+-]?0+)?|false"): ABSENT,
    re.compile(r"[-\u2212]0*1(?:[.,]0*)?(?:e[+-]?0+)?"): UNCERTAIN,
}


def class_columns(path: Path, header: Sequence[str], others: Sequence[str]) -> list[str]:
    """The columns of a header that are classes: all except `others` and the columns of row numbers that pandas writes.

    Raises:
        InputError: a column is one of `others` in another spelling; two columns are one class in two spellings; pandas
            has numbered a repeated column; or a name has look-alike letters, was decoded wrongly, or says that a
            finding is absent or in doubt.
    """
    classes = [name for name in header if name not in others and not INDEX_NAME.fullmatch(name)]
    check_spelling(path, classes, others)
    twins = first_twins(classes)
    if twins:
        one, other = (f"'{name}'{seen_as(name)}" for name in twins)
        raise InputError(f"{path}: columns {one} and {other} are one finding in two spellings; keep one")
    known = {name_key(name) for name in classes}
    for name in classes:
        right = misread(name)
        if right:
            raise InputError(
                f"{path}: column '{name}' seems to be '{right}', which was read in another encoding; save the table as "
                "UTF-8 anew"
            )
        if re.sub(r"\.\d+$", "", name) in set(header) - {name}:
            raise InputError(f"{path}: column '{name}' is a repeated one that pandas has numbered; keep one of the two")
        wrong = in_doubt(name, known, column=True) or odd_letters(name)
        if wrong:
            raise InputError(f"{path}: column '{name}' {wrong}")
    say_disguised(f"{path}: column", classes)
    return classes


def read_codes(columns: pd.DataFrame) -> np.ndarray:
    """The codes PRESENT, ABSENT, UNCERTAIN and UNSTATED, and NO_CODE for any other text: int8, rows x columns."""
    codes = np.empty(columns.shape, np.int8, order="F")
    for position, name in enumerate(columns):
        places, texts = pd.factorize(columns[name])
        codes[:, position] = np.array([_code(text) for text in texts], np.int8)[places]
    return codes


def _code(text: str) -> int:
    text = text.lower()
    if text in NOT_A_VALUE:
        return UNSTATED
    return next((code for pattern, code in CODES.items() if pattern.fullmatch(text)), NO_CODE)


def rows_of(files: Sequence[Path], parts: Sequence[pd.DataFrame]) -> Place:
    """A function that gives file and row for a row index of a table concatenated from several files.

    Args:
        parts: the rows of each file.
    """
    starts = [0, *itertools.accumulate(map(len, parts))]

    def place(row: int) -> str:
        part = bisect.bisect_right(starts, row) - 1
        return f"{files[part]}: row {row + 1 - starts[part]}"

    return place


def first_no_code(columns: pd.DataFrame, codes: np.ndarray, place: Place) -> str:
    """The position and text of the first value that is not a code; "" if there is none."""
    wrong = codes == NO_CODE
    if not wrong.any():
        return ""
    row = int(wrong.any(axis=1).argmax())
    name = columns.columns[int(wrong[row].argmax())]
    return f"{place(row)}: column '{name}' holds '{columns[name].iloc[row][:80]}'"


def check_coded(path: Path, columns: pd.DataFrame, codes: np.ndarray, what: str, place: Place | None = None) -> None:
    """Stop if a column has neither 0 nor 1 in any row, because it is then not a class.

    A log line names the first value that is not a code; rows with such values are rejected.

    Args:
        place: gives file and row of a row index; None: all rows are from `path`.

    Raises:
        InputError: there is such a column, no column at all, or no row whose values are all codes.
    """
    if columns.empty:
        raise InputError(f"{path}: has no column of a finding; {what} has one for each finding")
    stated = np.isin(codes, (PRESENT, ABSENT)).any(axis=0)
    if not stated.all():
        name = columns.columns[int(np.argmin(stated))]
        raise InputError(
            f"{path}: column '{name}' holds no 0 or 1 (its first value is '{columns[name].iloc[0]}'), so it is not a "
            "finding's column; remove it"
        )
    warn_no_codes(columns, codes, place or rows_of([path], [columns]))


def warn_no_codes(columns: pd.DataFrame, codes: np.ndarray, place: Place) -> None:
    """Log the first value that is not a code, and how many rows have such a value.

    Raises:
        InputError: every row has such a value.
    """
    rows = int((codes == NO_CODE).any(axis=1).sum())
    if not rows:
        return
    said = f"{first_no_code(columns, codes, place)}, which is not 1, 0, -1 or blank"
    if rows == len(codes):
        raise InputError(f"{said}, and every row has such a value; correct these values")
    say(f"{said}; rows rejected for such a value: {rows}")


def assemble_coded(
    rows: pd.DataFrame,
    codes: np.ndarray,
    findings: Sequence[str],
    *,
    source: Path,
    normal: str,
    reasons: Sequence[tuple[str, "pd.Series | np.ndarray"]] = (),
) -> LabelTable:
    """The table of rows with coded labels.

    Rejected, besides what `assemble` rejects: rows with a value that is not a code, and rows that state no finding.

    Args:
        rows: every data row of the source, with those of ROW_COLUMNS that it states.
        codes: int8, rows x findings, as `read_codes` returns them.
        source: the label table, for messages.
        reasons: further reasons, each with the rows that it holds for; they take precedence over the two above.
    """
    numbers = rows["row"].to_numpy()
    table = assemble(
        rows,
        *(_pairs(numbers, codes == code, findings) for code in (PRESENT, UNCERTAIN, UNSTATED)),
        source=source,
        normal=normal,
        label_reasons=first_reason(
            *reasons,
            ("label value is not 1, 0, -1 or blank", (codes == NO_CODE).any(axis=1)),
            (SILENT, (codes == UNSTATED).all(axis=1)),
        ),
        content=pd.util.hash_pandas_object(pd.DataFrame(codes), index=False),
    )
    silent = rows["row"].isin(table.rejected.loc[table.rejected["reason"] == SILENT, "row"])
    return replace(table, silent=rows.loc[silent, list(ROW_COLUMNS)]) if silent.any() else table


def _pairs(numbers: np.ndarray, holds: np.ndarray, findings: Sequence[str]) -> pd.DataFrame:
    row, column = np.nonzero(holds)
    labels = pd.Categorical.from_codes(column, categories=pd.Index(list(findings)))
    return pd.DataFrame({"row": numbers[row], "label": labels})
