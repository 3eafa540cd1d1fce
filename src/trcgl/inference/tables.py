"""Write tables batch by batch to a CSV, JSON or Parquet file, or as CSV to a stream."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from trcgl.runtime.errors import InputError
from trcgl.runtime.files import written_beside
from trcgl.runtime.output_paths import final_file, is_stream
from trcgl.runtime.rounding import json_numbers

Writer = Callable[[pd.DataFrame], None]
FORMATS = (".csv", ".json", ".parquet")


def check_table_path(path: Path) -> None:
    """Raise an InputError unless the suffix is that of a known format. A device or pipe needs none; it gets CSV."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a file name")
    if path.suffix.lower() not in FORMATS and not is_stream(final_file(path)):
        raise InputError(f"{path}: has no known format; the name must end in {', '.join(FORMATS)}")


@contextmanager
def table_writer(path: Path, empty: pd.DataFrame) -> Iterator[Writer]:
    """Context with a function that appends a frame. The file appears only after everything was written without error.

    Args:
        path: its suffix chooses the format; JSON is one list of objects.
        empty: a frame with the columns of the rows to come, and no rows.
    """
    with written_beside(path) as beside:
        if path.suffix.lower() == ".parquet":
            schema = pa.Schema.from_pandas(empty, preserve_index=False)
            with pq.ParquetWriter(beside, schema) as writer:
                yield lambda frame: writer.write_table(pa.Table.from_pandas(frame, schema, preserve_index=False))
            return
        with beside.open("w", encoding="utf-8", newline="") as stream:
            if path.suffix.lower() == ".json":
                stream.write("[")
                yield _json_writer(stream)
                stream.write("\n]\n")
            else:
                yield csv_writer(stream, empty)


def csv_writer(stream: TextIO, empty: pd.DataFrame) -> Writer:
    """A function that appends a frame as CSV; the header is written at once."""
    empty.to_csv(stream, index=False, lineterminator="\n")
    return lambda frame: frame.to_csv(stream, index=False, header=False, lineterminator="\n")


def _json_writer(stream: TextIO) -> Writer:
    first = True

    def write(frame: pd.DataFrame) -> None:
        nonlocal first
        if frame.empty:
            return
        # Converted through the shortest text, because float32 0.3 would otherwise become 0.300000011920929
        floats = {str(name): frame[name].astype(str).astype(float) for name in frame.select_dtypes("float32")}
        records = frame.assign(**floats).to_dict("records")
        lines = [json.dumps(json_numbers(record), ensure_ascii=False, allow_nan=False) for record in records]
        stream.write(("\n" if first else ",\n") + ",\n".join(lines))
        first = False

    return write
