"""Patient and study ids as text; damage by spreadsheets and float columns is found before it can merge patients."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from itertools import chain

import numpy as np
import pandas as pd

from trcgl.labels.cells import cleaned, say
from trcgl.labels.placeholders import say_crowded
from trcgl.runtime.errors import InputError, and_more
from trcgl.runtime.letters import disguise, odd_letters, plainly, seen_as
from trcgl.tables import names_nothing

# 3.24E+38, 3,24e+38, 1E+15
ROUNDED_NUMBER = re.compile(r"[+-]?(?:[0-9]*[.,][0-9]+[eE][+-]?[0-9]+|[0-9]+[.,]?[eE]\+[0-9]+)")
# 12e34: a number, or one of many hexadecimal ids
BARE_EXPONENT = re.compile(r"[0-9]+[eE][0-9]+")
HEXADECIMAL = re.compile(r"(?=.*[a-dfA-DF])[0-9a-fA-F]+")
# '007, ="007" and "007": marks by which people and programs stop a spreadsheet from reading a number
KEPT_AS_TEXT = re.compile(r"""'([^']+)'?|="([^"]+)"|"([^"]+)\"""")
WHOLE_FLOAT = re.compile(r"([0-9]+)[.,]0+")
BROKEN_FLOAT = re.compile(r"[0-9]*[.,][0-9]*[1-9][0-9]*")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_ABROAD = (
    "ene", "abr", "ago", "dic", "gen", "mag", "giu", "lug", "set", "ott", "fev", "out", "janv", "f\u00e9vr", "avr",
    "mai", "juin", "juil", "ao\u00fbt", "d\u00e9c", "m\u00e4rz", "mrz", "okt", "dez",
)  # fmt: skip
_NAMED = "|".join(
    chain(
        chain.from_iterable((name, name[:3], name[:3].lower()) for name in _MONTHS),
        chain.from_iterable((name, name.title()) for name in _ABROAD),
    )
)
_DAY, _MONTH, _YEAR, _TIME = "(?:0[1-9]|[12][0-9]|3[01])", "(?:0[1-9]|1[0-2])", "(?:19|20)[0-9]{2}", "(?:[ T][0-9:.]+)?"
DATE = re.compile(
    rf"{_YEAR}([-/.]){_MONTH}\1{_DAY}{_TIME}"
    rf"|(?:{_DAY}([-/.]){_MONTH}|{_MONTH}([-/.]){_DAY})(?:\2|\3){_YEAR}{_TIME}"
    rf"|[1-3]?[0-9]([-/.])[1-3]?[0-9]\4{_YEAR}{_TIME}"
    rf"|[0-3]?[0-9]-(?:{_NAMED})(?:-[0-9]{{2,4}})?|(?:{_NAMED})-[0-9]{{2,4}}"
)
"""As spreadsheets write one, also for an id such as 3-12; MAR-12 in capitals is an id."""
TIME = re.compile(r"[0-9]{1,3}:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?(?: ?[AaPp][Mm])?")
"""As spreadsheets write one, also for an id such as 12:30."""
LARGEST = frozenset(str(2**bits - 1) for bits in (31, 32, 63, 64))
"""What a column of whole numbers keeps of larger ones."""
THOUSANDS = re.compile(r"([0-9]{1,3})((?:[, '][0-9]{3})+)")
MARKS = re.compile(r"(?<!\d)[ _.-]+|[ _.-]+(?!\d)")
"""Between two words, or a word and a number: P-12 is hardly another patient than P12, 1-12 is another than 11-2."""
SPREADSHEET_DIGITS, FLOAT_BITS = 15, 53
"""What a spreadsheet, and a float, keeps of a number."""
SIXTEENS = frozenset(f"{number:04d}" for number in range(0, 10_000, 16))
BY_CHANCE = 1e-3
"""Probability below which ids that look rounded are taken to be so."""


def read_ids(path: object, column: str, ids: pd.Series) -> pd.Series:
    """Restore ids as they were before a program read them as numbers, where that is certain.

    A column of whole floats (10000032.0) is read as whole numbers. Invisible characters and a spreadsheet's marks for
    text ('007) are removed. A log line reports such changes. Cells without a value stay as they are.

    Raises:
        InputError: a spreadsheet or a column of floats has rounded ids or turned them into dates or times; whole floats
            stand beside other ids; or an id holds a control character.
    """
    ids = cleaned(ids, f"{path}: {column}")
    different = ids.unique().tolist()
    marked = {text: (match[1] or match[2] or match[3]).strip() for text in different if (match := _kept_as_text(text))}
    if marked:
        row = int(np.argmax(ids.isin(list(marked)))) + 1
        say(f"{path}: {column}: quotes around ids, as spreadsheets use them, are left out; the first: row {row}")
        ids = ids.replace(marked)
        different = ids.unique().tolist()
    numbers = [text for text in different if text.isdecimal()]
    # As a rule, only few ids are not plain numbers
    others = [text for text in different if not text.isdecimal() and not names_nothing(text)]

    def stop(found: Collection[str], wrong: str, remedy: str) -> InputError:
        rows = np.flatnonzero(ids.isin(list(found)))
        return InputError(
            f"{path}: row {rows[0] + 1}: {column} '{ids.iloc[rows[0]]}' {wrong}{and_more(len(rows) - 1)}, {remedy}"
        )

    control = [text for text in others if not text.isprintable()]
    if control:
        raise stop(control, "holds a character that is not text", "so two ids may look alike; write ids as text")
    again = "export the table from its source again, with ids as text"
    merged = f"so different ids may have become one; {again}"
    rounded = [text for text in others if ROUNDED_NUMBER.fullmatch(text)]
    bare = [text for text in others if BARE_EXPONENT.fullmatch(text)]
    if bare and not any(HEXADECIMAL.fullmatch(text) for text in others):
        rounded += bare
    if rounded:
        raise stop(rounded, "is a rounded number", merged)
    largest = [text for text in numbers if text in LARGEST]
    if largest:
        raise stop(largest, "is the largest whole number that a column of a table holds", merged)
    floats = {text: match[1] for text in others if (match := WHOLE_FLOAT.fullmatch(text))}
    cut = _cut_short([text for text in (*numbers, *floats.values()) if len(text) > SPREADSHEET_DIGITS])
    cut |= {text for text, whole in floats.items() if len(whole) > SPREADSHEET_DIGITS or whole in cut}
    if cut:
        raise stop(cut, "is rounded to the digits that a spreadsheet or a float keeps", merged)
    dates = [text for text in others if DATE.fullmatch(text)]
    if dates:
        raise stop(dates, "is a date", f"not an id; {again}")
    times = [text for text in others if TIME.fullmatch(text)]
    if times:
        raise stop(times, "is a time of day", f"not an id; {again}")
    # Beside 1.1, an id 1.0 is a name with a point in it
    if floats and not any(BROKEN_FLOAT.fullmatch(text) for text in others):
        if len(floats) < len(others) + len(numbers):
            raise stop(
                list(floats), "is a float, but not all ids are", "so one patient may be two; write all ids one way"
            )
        say(f"{path}: {column}: whole floats such as 7.0 are read as the whole numbers")
        ids = ids.replace(floats)
        numbers = list(floats.values())
    _say_twins(path, column, ids, [*numbers, *others])
    say_crowded(path, column, ids)
    return ids


def _kept_as_text(text: str) -> re.Match[str] | None:
    return KEPT_AS_TEXT.fullmatch(text) if text[:1] in ("'", '"', "=") else None


def _cut_short(numbers: Collection[str]) -> set[str]:
    """Those long numbers that are zero beyond a spreadsheet's digits or a float's bits, if too many to be chance."""
    digits = {number: number.lstrip("0") for number in numbers}
    lengths = Counter(map(len, digits.values()))
    decimal = [text for text, of in digits.items() if of[-1:] == "0" and not of[SPREADSHEET_DIGITS:].strip("0")]
    # The last four digits show whether the last four bits are zero; this test is faster
    binary = [text for text, of in digits.items() if of[-4:] in SIXTEENS and _is_float(int(of))]
    for found, kept in ((decimal, SPREADSHEET_DIGITS), (binary, FLOAT_BITS * math.log10(2))):
        expected = sum(count * 10.0 ** min(0.0, kept - length) for length, count in lengths.items())
        # Approximately the Poisson probability of as many by chance
        if found and len(found) * math.log(expected) - math.lgamma(len(found) + 1) < math.log(BY_CHANCE):
            return set(found)
    return set()


def _is_float(number: int) -> bool:
    return number.bit_length() > FLOAT_BITS and number % (1 << (number.bit_length() - FLOAT_BITS)) == 0


def _say_twins(path: object, column: str, ids: pd.Series, different: Iterable[str]) -> None:
    """Log a line if ids differ only in how they are written: often they are one patient, who may be in two splits.

    Log another line for ids with letters that only look Latin.
    """
    different = list(different)
    odd = [text for text in different if not text.isascii() and (odd_letters(text) or disguise(text))]
    if not any(re.search("[A-Za-z]", text) for text in different if odd):
        # All ids are in one alphabet
        odd = []
    if odd:
        row = int(np.argmax(ids == odd[0])) + 1
        say(
            f"{path}: row {row}: {column} '{odd[0]}'{seen_as(odd[0])} may look like another id"
            f"{and_more(len(odd) - 1, 'do')}; write ids in one alphabet"
        )
    if not any(text[0] == "0" or not text.isdecimal() or not text.isascii() for text in different):
        return
    seen: dict[str, str] = {}
    pairs = [
        (other, text)
        for text in ids.unique().tolist()
        if not names_nothing(text) and (other := seen.setdefault(_written_plainly(text), text)) != text
    ]
    if pairs:
        first, second = (int(np.argmax(ids == text)) + 1 for text in pairs[0])
        say(
            f"{path}: {column}: ids of rows {first} and {second} differ only in capitals, leading zeros, marks between "
            "words or the form of their letters and digits, and count as different ids"
            f"{and_more(len(pairs) - 1, 'do')}"
        )


def _written_plainly(text: str) -> str:
    """An id in small letters and ASCII digits, without leading zeros and without marks that do not separate numbers."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", plainly(text))
    if plain.isdecimal():
        return str(int(plain))
    if plain[:1] == "-" and plain[1:].isdecimal():
        # A minus sign is not a separator
        return plain
    grouped = THOUSANDS.fullmatch(plain)
    return (re.sub(r"\D", "", plain) if grouped else MARKS.sub("", plain)).lstrip("0").casefold()
