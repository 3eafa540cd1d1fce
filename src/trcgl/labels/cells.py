"""Texts that stand for a missing value in a cell, and how to recognise two spellings of one name."""

import contextlib
import re
import unicodedata
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trcgl.runtime.errors import and_more, one_visible_line
from trcgl.runtime.file_kinds import UTF_7
from trcgl.runtime.letters import clean_text, disguise, plainly
from trcgl.runtime.logging import get_logger
from trcgl.tables import NOT_A_NAME

_log = get_logger("labels")

NOT_A_FILE = ("", "nan", "na", "<na>", "none", "null", "#n/a")
"""Those of NOT_A_NAME that are written where an image has no file."""

ACCENTS = re.compile("[\u0300-\u036f]")
"""Of Latin, Greek and Cyrillic letters; in other scripts marks make other letters."""
SAME_MARKS = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-") | dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'")
)


AROUND = " :;,!*~#()[]{}\u00a1\u00b1\u00b0\u00b7\u2022\u2020\u2021\u00a7"
"""Signs that make no other name; + and < do."""

# All spellings are listed, because converting every text to small letters would take longer than everything else
_WRITTEN: dict[tuple[str, ...], pa.Array] = {
    words: pa.array(
        {"NaN", "NaT", *(spell(word) for word in words for spell in (str, str.upper, str.capitalize, str.title))}
    )
    for words in (NOT_A_NAME, NOT_A_FILE)
}


def is_missing(texts: pd.Series, words: tuple[str, ...] = NOT_A_NAME) -> np.ndarray:
    """Which texts stand for a missing value: bool, in the order of `texts`.

    Args:
        words: NOT_A_NAME or NOT_A_FILE.
    """
    # Arrow's hash lookup takes a third of the time of pandas'
    found = pc.is_in(pa.array(texts), value_set=_WRITTEN[words])  # pyright: ignore[reportAttributeAccessIssue]
    return found.to_numpy(zero_copy_only=False)


def without_missing(texts: pd.Series) -> pd.Series:
    """The texts, with '' for missing values."""
    return texts.where(~is_missing(texts), "")


def cleaned(texts: pd.Series, what: str) -> pd.Series:
    """The texts without invisible characters (see `clean_text`); a log line says where this changed a text.

    Args:
        what: file and column, for that line.
    """
    array = pa.array(texts)
    if pc.all(pc.string_is_ascii(array)).as_py():  # pyright: ignore[reportAttributeAccessIssue]
        return texts
    places, different = pd.factorize(texts)
    clean = np.array([text if text.isascii() else clean_text(text) for text in different], dtype=object)
    changed = (clean != np.asarray(different, dtype=object))[places]
    if not changed.any():
        return texts
    say(
        f"{what}: row {np.argmax(changed) + 1}: unusual spaces, invisible characters or separate accents are read as "
        f"plain ones (rows that have some: {changed.sum()})"
    )
    return pd.Series(clean[places], index=texts.index, dtype="str")


def say(line: str) -> None:
    """Log a line for the user about something that was read differently from how it is written, or that looks wrong."""
    _log.warning("%s", one_visible_line(line))


def name_key(name: str) -> str:
    """The key that all spellings of one name share: its letters and digits without case, width, accents and form.

    Letters of another alphabet that look like Latin ones count as Latin. Separators between words do not count, but
    separators between digits do. Signs around a name, such as a full stop or an asterisk, do not count.
    """
    text = unicodedata.normalize("NFKD", plainly(clean_text(name)).translate(SAME_MARKS)).casefold()
    words = re.sub(r"[\s_\-.]+", " ", ACCENTS.sub("", text)).strip(AROUND)
    return re.sub(r" (?!\d)|(?<!\d) ", "", words) or name


def misread(name: str) -> str:
    """The original name where UTF-8 was decoded as a Windows encoding, or UTF-7 as ASCII; "" if that did not happen."""
    if UTF_7.search(name):
        with contextlib.suppress(UnicodeError):
            return clean_text(name.encode("ascii").decode("utf-7"))
    for encoding in () if name.isascii() else ("cp1252", "latin-1"):
        with contextlib.suppress(UnicodeError):
            return name.encode(encoding).decode("utf-8")
    return ""


def first_twins(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two names that differ only in spelling, in their order; None if there are none."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name_key(name), name)
        if other != name:
            return other, name
    return None


def say_disguised(where: str, names: Iterable[str]) -> None:
    """Log a line for names that look Latin but are written in another alphabet, if no other name uses that alphabet.

    Args:
        where: the start of the line.
    """
    strangers = [name for name in names if not name.isascii()]
    found = [name for name in strangers if disguise(name)]
    if found and len(found) == sum(not plainly(name).isascii() or bool(disguise(name)) for name in strangers):
        say(
            f"{where} '{found[0]}' only looks Latin (its first letter is U+{ord(found[0][0]):04X})"
            f"{and_more(len(found) - 1, 'do')}; if '{disguise(found[0])}' is meant, write it in Latin letters"
        )
