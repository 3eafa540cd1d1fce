"""Read columns of a CSV file, plain or gzip, as text: no value is interpreted."""

import csv
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from trcgl.runtime.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
HEADER_BYTES = 1 << 20


def read_header(path: Path) -> list[str]:
    """The column names of a CSV file, stripped.

    Raises:
        InputError: the file is missing, a folder, empty, damaged or not text.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the CSV file itself")
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP_MAGIC
        with gzip.open(path, "rb") if packed else path.open("rb") as handle:
            line = handle.readline(HEADER_BYTES)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise InputError(f"{path}: its gzip data are damaged or cut short; fetch the file again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give an existing CSV file") from None
    if not line.strip():
        raise InputError(f"{path}: is empty or starts with an empty line; expected a CSV file with a header line")
    try:
        if b"\0" in line:
            raise ValueError
        return [name.strip() for name in next(csv.reader([line.decode("utf-8-sig")]))]
    except (ValueError, csv.Error):
        raise InputError(f"{path}: is not a CSV text file in UTF-8 (its first line is not text)") from None


def read_columns(path: Path, required: Sequence[str], optional: Sequence[str] = (), *, what: str) -> pd.DataFrame:
    """The named columns as stripped text, one row per data row of the file; an absent optional column is all ''.

    Nothing is read as a number or as missing: 'nan', '007' and 39-digit ids stay as they are. Gzip is recognised by the
    first bytes of the file, whatever its name.

    Args:
        what: the kind of file, for messages, such as "a PadChest label table".

    Raises:
        InputError: see `read_header`; a required column is missing or a wanted one appears twice; a row has another
            number of columns than the header; the text is not UTF-8; the file has no data rows.
    """
    header = read_header(path)
    for name in required:
        if name not in header:
            found = ", ".join(header[:12]) + (", ..." if len(header) > 12 else "")
            raise InputError(
                f"{path}: column '{name}' is missing; {what} is comma-separated and has the columns "
                f"{', '.join(required)}; found: {found}"
            )
    wanted = [*required, *(name for name in optional if name in header)]
    for name in wanted:
        if header.count(name) > 1:
            raise InputError(f"{path}: column '{name}' appears {header.count(name)} times; it must appear once")
    # Positions as names, because the header may repeat names of columns that are not read
    names = [str(position) for position in range(len(header))]
    columns = [str(header.index(name)) for name in wanted]
    try:
        with pa.OSFile(str(path)) as raw:
            packed = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            table = arrow_csv.read_csv(
                pa.CompressedInputStream(raw, "gzip") if packed else raw,
                # One thread is as fast on this one stream, and names the row in its errors
                read_options=arrow_csv.ReadOptions(use_threads=False, column_names=names, skip_rows=1),
                parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    include_columns=columns,
                    column_types={name: pa.string() for name in columns},
                    strings_can_be_null=False,
                ),
            )
    except (pa.ArrowInvalid, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{path}: damaged, cut short or not comma-separated UTF-8 text ({reason})") from None
    if table.num_rows == 0:
        raise InputError(f"{path}: has a header but no rows; expected {what}")
    frame = table.rename_columns(wanted).to_pandas()
    frame = frame.apply(lambda column: column.str.strip())
    for name in optional:
        if name not in header:
            frame[name] = ""
    return frame
