"""Read columns of a CSV file, plain or gzip, as text: no value is interpreted.

Accepted are UTF-8 with or without byte order mark, UTF-16 and UTF-32 with one, any line ends, and a spreadsheet's
`sep=,` line. Another separator, encoding or kind of file gives an error that says what to do.
"""

import csv
import gzip
import io
import itertools
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from trcgl.runtime.errors import InputError
from trcgl.runtime.file_kinds import OTHER_MAGICS, encoding_of, other_encoding, seems_utf_7
from trcgl.runtime.letters import clean_text, letters_of, plainly, seen_as
from trcgl.runtime.unexpanded import why_missing

NOT_A_VALUE = (
    "", "nan", "-nan", "na", "n/a", "n.a.", "<na>", "nat", "none", "null", "<null>", "(null)", "nil", "\\n", "#n/a",
    "#na", ".", "..", "''", '""', "unknown", "undefined", "missing", "not available", "(blank)",
    "-9223372036854775808", "-2147483648",
)  # fmt: skip
"""Texts, in small letters, by which programs and people write that there is no value; the last are what becomes of it
in a column of whole numbers."""
NOT_A_NAME = (
    *NOT_A_VALUE, "-", "--", "---", "?", "??", "*", "_", "#ref!", "#value!", "#name?", "#div/0!", "#num!", "#null!",
    "#spill!", "#calc!", "#field!", "#busy!", "#blocked!", "#connect!", "#unknown!", "#getting_data", "#error!", "#ref",
    "#value", "#nv", "#n/d", "#wert!", "#bezug!", "#zahl!", "#valeur!", "#valor!", "#nom?", "#nome?", "#nombre!",
    "#\u00a1ref!", "#\u00a1valor!", "#\u00a1div/0!", "#\u00a1num!", "#\u00bfnombre?", "#rif!",
    "err:502", "err:508", "err:522",
    "inf", "-inf", "infinity", "anonymous", "anonymized", "anonymised", "anon", *("#" * n for n in range(1, 21)),
)  # fmt: skip
"""And texts that name nothing, though as a code they might mean something; #### is a number in a narrow column."""
GZIP_MAGIC = b"\x1f\x8b"
HEADER_BYTES = 1 << 20
HEADER_CHARACTERS = 10_000
# A spreadsheet's own line before the header; it may have been padded with separators
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;\t ]*(?:\r\n|\r|\n)', re.IGNORECASE)
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
INDEX_NAME = re.compile(r"(?:Unnamed: \d+(?:\.\d+)*)?")
"""Names of a column that pandas wrote for its row numbers."""
MOST_CODES = 3
"""Different numbers that a column of a finding may hold: 1, 0 and -1."""
NOT_TEXT = re.compile(r"Row #(\d+): .*invalid UTF8")
LINE_END = re.compile(r"\r\n|\r|\n")
LETTER = re.compile("[A-Za-z]")
WORD = re.compile(r"[^\W_]+")
FREE_TEXT = 30
"""With more kinds of cells a column is free text."""
RAGGED = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")


def names_nothing(text: str) -> bool:
    """Whether one text stands for a missing value."""
    return text.lower() in NOT_A_NAME


@dataclass(frozen=True)
class _Form:
    """The format of a table's file.

    Attributes:
        packed: whether it is compressed with gzip.
        encoding: utf-8, utf-16 or utf-32.
        lines_before: number of lines before the header.
        header: the column names as written in the file.
    """

    packed: bool
    encoding: str
    lines_before: int
    header: list[str]

    @cached_property
    def named_columns(self) -> int:
        """The number of columns up to the last one with a name."""
        return max(place for place, name in enumerate(self.header, start=1) if name.strip())

    @cached_property
    def nameless(self) -> list[int]:
        """The positions of columns that have no name, or one that pandas gave them, such as `Unnamed: 4`."""
        return [place for place, name in enumerate(self.header) if INDEX_NAME.fullmatch(clean_text(name))]


def read_header(path: Path) -> list[str]:
    """The column names of a CSV file, stripped and without invisible characters.

    Raises:
        InputError: the file is missing, a folder, empty, damaged, of another kind, not text, or separated by something
            else than commas.
    """
    return [clean_text(name) for name in _form(path).header]


def read_columns(
    path: Path, required: Sequence[str], optional: Sequence[str] = (), *, what: str, uneven: bool = False
) -> pd.DataFrame:
    """The named columns as stripped text, one row per data row of the file; a missing optional column is all ''.

    Nothing is read as a number or as missing: 'nan', '007' and 39-digit ids stay as they are. Gzip is recognised by the
    first bytes of the file, whatever its name.

    Args:
        what: the kind of file, for messages, such as "a PadChest label table".
        uneven: whether some rows may end in commas that others lack; only for tables whose values show if a comma has
            moved them.

    Raises:
        InputError: see `read_header`; a required column is missing, or a wanted one appears twice; a column without a
            name holds something else than row numbers; a row differs from the header in its number of columns, has a
            line break in a wanted column, or repeats the header; the text is damaged; the file has no data rows.
    """
    form = _form(path)
    header = [clean_text(name) for name in form.header]
    wanted = _wanted(path, header, required, optional, what)
    content = _content(path, form)
    places = [header.index(name) for name in wanted]
    table = _parse(path, form, sorted({*places, *form.nameless}), content, uneven=uneven)
    if table.num_rows == 0:
        raise InputError(f"{path}: has a header but no rows; expected {what}")
    _check_nameless(path, form, table)
    table = table.select([str(place) for place in places])
    _check_rows(path, table, wanted)
    _check_not_swallowed(path, form, header, table, content, uneven=uneven)
    frame = table.rename_columns(wanted).to_pandas()
    frame = frame.apply(lambda column: column.str.strip())
    for name in optional:
        if name not in header:
            frame[name] = ""
    return frame


def column_texts(path: Path, names: Sequence[str]) -> dict[str, pd.Series]:
    """Columns of a header as stripped text, whatever they hold, also line breaks.

    Raises:
        InputError: see `read_header`, and a row differs from the header in its number of columns.
    """
    form = _form(path)
    header = [clean_text(name) for name in form.header]
    table = _parse(path, form, [header.index(name) for name in names], _content(path, form), uneven=False)
    return {name: column.to_pandas().str.strip() for name, column in zip(names, table.columns, strict=True)}


def read_text(path: Path) -> str:
    """A whole small file, plain or gzip, as text without byte order mark; its encoding is any that tables may have.

    Raises:
        InputError: the file cannot be read, is damaged, or is not such text.
    """
    packed, head = _head(path)
    encoding = encoding_of(head)
    try:
        text = _unpacked(path, packed).decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not text in {encoding.upper()} (byte {error.start}); save it as UTF-8") from None
    before, null, _ = text.partition("\0")
    if null and (lines := len(LINE_END.findall(before))):
        raise InputError(
            f"{path}: line {lines + 1} holds null bytes: the file is damaged or cut short; copy or download it again"
        )
    if null:
        raise _not_text(path, head)
    return text


def _unpacked(path: Path, packed: bool) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise _damaged_gzip(path) from None


def _content(path: Path, form: _Form) -> bytes:
    """The bytes of a whole table in UTF-8, decompressed once for all later checks.

    Raises:
        InputError: the file is damaged.
    """
    content = _unpacked(path, form.packed)
    try:
        return content if form.encoding == "utf-8" else content.decode(form.encoding).encode()
    except UnicodeError as error:
        raise InputError(
            f"{path}: is damaged, cut short or not text in {form.encoding.upper()} ({error}); download it again"
        ) from None


def _head(path: Path) -> tuple[bool, bytes]:
    """Whether the file is compressed, and the first bytes of its (decompressed) content."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the CSV file itself")
    if path.exists() and not path.is_file():
        # The file is read several times, and the second read of a pipe would wait for ever
        raise InputError(f"{path}: is a pipe, socket or device; save the table to a file first")
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP_MAGIC
        with gzip.open(path, "rb") if packed else path.open("rb") as handle:
            return packed, handle.read(HEADER_BYTES)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise _damaged_gzip(path) from None
    except OSError as error:
        hint = why_missing(path) if isinstance(error, FileNotFoundError) else ""
        raise InputError(f"{path}: cannot be read ({error.strerror}{hint}); give an existing CSV file") from None
    except ValueError:  # A null byte in the name
        raise InputError(f"{str(path)!r}: is not the name of a file; give an existing CSV file") from None


def _damaged_gzip(path: Path) -> InputError:
    return InputError(f"{path}: its gzip data are damaged or cut short; download the file again")


def _not_text(path: Path, head: bytes) -> InputError:
    seems = other_encoding(head) or "its first line is not text in UTF-8; give the table as CSV in UTF-8"
    return InputError(f"{path}: {seems}")


def _form(path: Path) -> _Form:
    packed, head = _head(path)
    for magic, kind in OTHER_MAGICS.items():
        if head.startswith(magic):
            raise InputError(f"{path}: is {kind}")
    encoding = encoding_of(head)
    # The end of `head` may cut a character in two; only the first lines count here
    text = head.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace")
    separator = SEPARATOR_LINE.match(text)
    if separator is not None:
        if separator[1] != ",":
            raise _other_separator(path, OTHER_SEPARATORS.get(separator[1], f"'{separator[1]}'"))
        text = text[separator.end() :]
    try:
        header = next(csv.reader(io.StringIO(text, newline="")), [])
    except csv.Error:
        # A field that never ends
        raise (_unclosed(path) if '"' in text[:HEADER_CHARACTERS] else _not_text(path, head)) from None
    if not any(name.strip() for name in header) and len(header) < 2:
        raise InputError(f"{path}: is empty or starts with an empty line; expected a CSV file with a header line")
    line = "".join(name.strip() for name in header)
    if re.search(r"[\r\n]", line) and "\ufffd" not in line:
        raise _unclosed(path)
    if "\ufffd" in line or any(unicodedata.category(sign) == "Cc" and sign != "\t" for sign in line):
        raise _not_text(path, head)
    if seems_utf_7(text, head):
        raise InputError(f"{path}: is text in UTF-7; save it as UTF-8")
    for mark, name in OTHER_SEPARATORS.items():
        if line.count(mark) > len(header) - 1:
            raise _other_separator(path, name)
    return _Form(packed, encoding, int(separator is not None), header)


def _unclosed(path: Path) -> InputError:
    return InputError(f"{path}: its header holds a line break; close the quote there, or write the name on one line")


def _other_separator(path: Path, name: str) -> InputError:
    return InputError(f"{path}: is separated by {name}; save it with commas between the columns (CSV, UTF-8)")


def check_header(path: Path, header: Sequence[str], required: Sequence[str], what: str) -> None:
    """Raise an InputError, which suggests a similar name, if a header lacks a required column."""
    for name in required:
        if name not in header:
            found = ", ".join(column[:60] for column in header[:12]) + (", ..." if len(header) > 12 else "")
            near = next((column for column in header if plainly(column).casefold() == name.casefold()), None)
            raise InputError(
                f"{path}: column '{name}' is missing; {what} is comma-separated and has the columns "
                f"{', '.join(required)}; found: {found}"
                + (f"; rename {near!r}{seen_as(near)} to {name!r}" if near else "")
            )


def check_spelling(path: Path, others: Sequence[str], names: Sequence[str]) -> None:
    """Raise an InputError if one of the other columns of a table is one of `names`, spelled in another way."""
    spelled = {letters_of(column): column for column in others}
    for name in names:
        near = spelled.get(letters_of(name))
        if near is not None and near != name:
            raise InputError(
                f"{path}: column '{near}'{seen_as(near)} seems to be '{name}'; rename it to '{name}', or remove it"
            )


def _check_nameless(path: Path, form: _Form, table: pa.Table) -> None:
    """Stop if a column without a name holds something else than row numbers. pandas calls such columns `Unnamed: 4`."""
    for place in form.nameless:
        # Those at the end are left out if rows have more or fewer of them
        if str(place) not in table.column_names:
            continue
        texts = table.column(str(place)).to_pandas().str.strip()
        if not _row_names(texts, first=place == 0):
            raise InputError(
                f"{path}: column {place + 1} has no name, but holds values (the first: "
                f"'{texts[texts != ''].iloc[0][:80]}'); name it if it is a finding's, remove it, or quote the value "
                "that a comma divided"
            )


def _row_names(texts: pd.Series, *, first: bool) -> bool:
    """Whether a column is blank or holds what pandas and R write as names of rows; those of joined tables may repeat.

    Args:
        first: whether it is the first column, where programs write them; elsewhere only numbers in every row count.
    """
    stated = texts[texts != ""]
    if stated.empty:
        return True
    numbers, several = bool(stated.str.fullmatch(r"\d+(\.0)?").all()), stated.nunique() > MOST_CODES
    if not first:
        return numbers and len(stated) == len(texts) and (several or (stated.is_unique and len(texts) > MOST_CODES))
    return stated.is_unique or (numbers and (several or set(stated) == {"0"}))


def _wanted(path: Path, header: list[str], required: Sequence[str], optional: Sequence[str], what: str) -> list[str]:
    check_header(path, header, required, what)
    wanted = [*required, *(name for name in optional if name in header)]
    missing = [name for name in optional if name not in wanted]
    check_spelling(path, [column for column in header if column not in wanted], missing)
    for name in wanted:
        if header.count(name) > 1:
            raise InputError(f"{path}: column '{name}' appears {header.count(name)} times; it must appear once")
    return wanted


def _parse(
    path: Path, form: _Form, positions: list[int], content: bytes, *, uneven: bool, again: bool = False
) -> pa.Table:
    """The columns at `positions` as text.

    Args:
        content: the content of the file, in UTF-8.
        uneven: see `read_columns`.
        again: second attempt, which reads the content as one block: after `_evened`, or for a value beyond one block.
    """
    # The columns are named by position, because the header may repeat names of columns that are not read
    names = [str(position) for position in range(len(form.header))]
    columns = [str(position) for position in positions]
    try:
        return arrow_csv.read_csv(
            pa.BufferReader(content),
            # For a single stream one thread is as fast, and only then do errors name the row
            read_options=arrow_csv.ReadOptions(
                use_threads=False,
                block_size=len(content) + 1 if again else 1 << 20,
                column_names=names,
                skip_rows=form.lines_before,
                skip_rows_after_names=1,
            ),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=columns,
                column_types={name: pa.string() for name in columns},
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        reason = " ".join(str(error).split())
        not_text = NOT_TEXT.search(reason)
        if not_text:
            raise InputError(
                f"{path}: row {int(not_text[1]) - 1 - form.lines_before} is not text in UTF-8; save the table as CSV "
                "in UTF-8, or download it again if it is damaged"
            ) from None
        if "straddling" in reason and not again:
            # A value is longer than a block, for example because a quote is not closed
            return _parse(path, form, positions, content, uneven=uneven, again=True)
        ragged = RAGGED.search(reason)
        if ragged and not again and (text := _evened(path, form, uneven=uneven)) is not None:
            header = form.header[: form.named_columns]
            there = [position for position in positions if position < len(header)]
            return _parse(path, _Form(False, "utf-8", 0, header), there, text, uneven=uneven, again=True)
        if ragged:
            row, expected, got = (int(number) for number in ragged.groups())
            raise InputError(
                f"{path}: row {row - 1 - form.lines_before} has {got} columns, the header {expected}: the file is cut "
                "short or damaged, or a value with a comma or a quote in it is not quoted"
            ) from None
        raise InputError(f"{path}: damaged, cut short or not comma-separated UTF-8 text ({reason[:160]})") from None


def _evened(path: Path, form: _Form, *, uneven: bool) -> bytes | None:
    """The table without empty cells after its last named column; None if there are no such cells.

    In some tables, such as NIH's list of boxes, the header ends with commas that the rows lack, or vice versa. Rows
    longer than the header are cut only if every row is, by as many cells: in a single row, a value with a comma may
    have moved the others, and the blank cell at the end is that of a named column.

    Args:
        uneven: see `read_columns`.
    """
    width, changed = form.named_columns, False
    text, evened = read_text(path), io.StringIO()
    writer = csv.writer(evened, lineterminator="\n")
    try:
        rows = itertools.islice(_rows(text, form), 1, None)
        lengths = Counter(len(row) for row in rows if any(value.strip() for value in row))
        long = bool(lengths) and min(lengths) > len(form.header)
        usual = lengths.most_common(1)[0][0] if lengths else 0
        for number, row in enumerate(_rows(text, form)):
            blank = not any(value.strip() for value in row[width:])
            fits = uneven or not number or len(row) <= len(form.header) or (long and len(row) == usual)
            cut = row[:width] if blank and (fits or not any(value.strip() for value in row)) else row
            changed |= len(cut) < len(row)
            writer.writerow(cut)
    except csv.Error:
        # A field that never ends: this is the table's real problem
        return None
    return evened.getvalue().encode() if changed else None


def _rows(text: str, form: _Form) -> Iterator[list[str]]:
    """The header and the rows of a table."""
    # Lines are split as in the csv module: str.splitlines also splits at signs that a value may hold, such as U+2028
    lines = io.StringIO(text, newline="")
    for _ in range(form.lines_before):
        lines.readline()
    return csv.reader(lines)


def _check_rows(path: Path, table: pa.Table, wanted: list[str]) -> None:
    """Stop if a row contains further rows because a quote is not closed, or if a row repeats the header."""
    columns = list(zip(wanted, table.columns, strict=True))
    for name, column in columns:
        # Only line ends inside a value count, because values are stripped
        row = _first_like(column, r"\S\s*[\r\n]\s*\S") if _has_line_end(column) else 0
        if row:
            raise InputError(
                f"{path}: row {row}: column '{name}' holds a line break; close the quote there, or write it on one line"
            )
    name, column = columns[0]
    if _first_like(column, re.escape(name)):
        # A second file brings its own byte order mark
        row = _first_like(column, rf"^[\s\x{{feff}}]*{re.escape(name)}\s*$")
        if row and all(clean_text(column[row - 1].as_py()) == name for name, column in columns[:2]):
            raise InputError(f"{path}: row {row} (header not counted) is the header of a joined file; remove this row")


def _has_line_end(column: pa.ChunkedArray) -> bool:
    """Whether a column's text has any line end; this takes a third of the time of a search through the values."""
    texts = [chunk.buffers()[2] for chunk in column.chunks]
    bytes_ = [np.frombuffer(text, np.uint8) for text in texts if text is not None]
    return any((part == ord(end)).any() for part in bytes_ for end in "\n\r")


def _first_like(column: pa.ChunkedArray, pattern: str) -> int:
    """The 1-based position of the first value that contains a pattern; 0 if none does."""
    holds = pc.match_substring_regex(column, pattern)  # pyright: ignore[reportAttributeAccessIssue]
    return pc.index(holds, True).as_py() + 1


def _check_not_swallowed(
    path: Path, form: _Form, header: list[str], table: pa.Table, content: bytes, *, uneven: bool
) -> None:
    """Stop if a value of a column that is not read contains whole rows, between two quotes that were not meant as such.

    A report may have several lines as well, but hardly any whose cells look like those of the columns around it.
    """
    values = _values_of_several_lines(content, table.num_rows + 1 + form.lines_before)
    if values is not None and all(value.count(b",") < form.named_columns - 1 for value in values):
        return
    every = _parse(path, form, list(range(len(header))), content, uneven=uneven)
    kinds = _Kinds(every)
    # The nameless columns at the end are left out if rows have more or fewer of them
    for place, (name, column) in enumerate(zip(header[: every.num_columns], every.columns, strict=True)):
        for row, text in enumerate(column.to_pylist(), start=1) if _has_line_end(column) else ():
            if _holds_rows(text, place, kinds):
                raise InputError(
                    f"{path}: row {row}: column '{name}' holds a line break and what looks like the next row; close "
                    "the quote there"
                )


class _Kinds:
    """What the cells of each column have in common: their marks and spaces, and whether they are of digits alone."""

    def __init__(self, table: pa.Table):
        self.columns = table.num_columns
        self._table = table
        self._known: dict[int, tuple[bool, frozenset[str]]] = {}

    def fits(self, place: int, cell: str) -> bool | None:
        """Whether a cell looks like those of the column at `place`; None if that is free text."""
        if place not in self._known:
            texts = [text for text in self._table.column(place).unique().to_pylist() if not LINE_END.search(text)]
            letters = any(LETTER.search(text) for text in texts)
            self._known[place] = letters, frozenset(_kind(text, letters=letters) for text in texts)
        letters, kinds = self._known[place]
        return None if len(kinds) > FREE_TEXT else _kind(cell, letters=letters) in kinds


def _kind(cell: str, *, letters: bool) -> str:
    def sign(word: re.Match[str]) -> str:
        return "w" if not word[0].isascii() else "a" if letters or not word[0].isdigit() else "0"

    return WORD.sub(sign, cell)


def _holds_rows(text: str, place: int, kinds: _Kinds) -> bool:
    """Whether a value of the column at `place` holds the rest of its row, whole rows, and the start of another one."""
    first, *middle = LINE_END.split(re.sub(r"(?:\r\n|\r|\n)$", "", text))
    if not middle:
        return False
    *middle, last = middle
    behind, width = kinds.columns - 1 - place, kinds.columns
    rest, start = first.split(","), last.split(",")
    rows = [line.split(",") for line in middle if line.strip()]
    if len(rest) <= behind or len(start) <= place or any(len(cells) < width for cells in rows):
        return False
    around = [(width - 1 - k, cell) for k, cell in enumerate(reversed(rest[len(rest) - behind :]))]
    for cells in (*rows, start):
        around += list(enumerate(cells[:place]))
    for cells in rows:
        around += [(width - 1 - k, cell) for k, cell in enumerate(reversed(cells[len(cells) - behind :]))]
    fitting = [kinds.fits(at, cell) for at, cell in around]
    return True in fitting and False not in fitting


def _values_of_several_lines(content: bytes, expected: int) -> list[bytes] | None:
    """The quoted values of a table that contain a line end, found by the positions of quotes alone.

    Args:
        expected: number of lines outside quotes. If it differs, quotes mean something else in this table: None.
    """
    ends, quotes = (_places_of(sign, content) for sign in ("\n" if b"\n" in content else "\r", '"'))
    unended = not content.endswith((b"\n", b"\r"))
    if len(ends) + unended == expected:
        return []
    inside = np.searchsorted(quotes, ends) % 2 == 1
    if len(quotes) % 2 or np.count_nonzero(~inside) + unended != expected:
        return None
    first, last = quotes[::2], quotes[1::2]
    # Two adjacent quotes stand for one quote inside the value
    apart = first[1:] != last[:-1] + 1
    first, last = first[np.append(True, apart)[: len(first)]], last[np.append(apart, True)[: len(last)]]
    # A quote in the middle of an unquoted value is an ordinary sign
    text = np.frombuffer(content, np.uint8)
    around = {
        *np.unique(text[first[first > 0] - 1]).tolist(),
        *np.unique(text[last[last + 1 < len(text)] + 1]).tolist(),
    }
    if around - set(b",\n\r"):
        return None
    which = np.unique(np.searchsorted(first, ends[inside]) - 1)
    return [content[first[i] : last[i]] for i in which.tolist()]


def _places_of(sign: str, content: bytes) -> np.ndarray:
    """The positions of a sign, searched block by block: allocating memory for a whole table would take longer."""
    text, size = np.frombuffer(content, np.uint8), HEADER_BYTES
    blocks = range(0, max(len(text), 1), size)
    return np.concatenate([np.flatnonzero(text[start : start + size] == ord(sign)) + start for start in blocks])
