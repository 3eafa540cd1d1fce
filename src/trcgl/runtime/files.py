"""Outputs are written to a temporary name and then renamed: a reader sees the old file, the new one, or none.

The functions that read report a damaged file in one line, which also says how to restore it.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import zipfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from trcgl.runtime.damage import damage_explained, damaged
from trcgl.runtime.disk import FULL
from trcgl.runtime.errors import InputError
from trcgl.runtime.output_paths import final_file, final_folder, is_stream, write_through
from trcgl.runtime.rounding import json_numbers, rounded_frame, rounded_values

if TYPE_CHECKING:
    from torch import Tensor

# The last text is NumPy's, which does not pass on the error number
FULL_TEXTS = ("No space left on device", "Disk quota exceeded", "File too large", " requested and ")
NAME_START = 180
"""Bytes; file systems take 255."""
ATTEMPTS, THERE = 5, (errno.ENOTEMPTY, errno.EEXIST)
NEARLY_FULL = 2**20
"""Bytes. Some libraries report only that writing failed, and some have freed a little space by then."""


@contextmanager
def full_disk_explained(path: Path) -> Iterator[None]:
    """Turn any exception of a library that has no space to write `path` into one line.

    Raises:
        InputError: the disk is full, a quota is used up, or the file would exceed the maximum size.
    """
    try:
        yield
    except (InputError, FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        if not any(map(_says_full, _with_causes(error))) and shutil.disk_usage(path.parent).free > NEARLY_FULL:
            raise
        raise InputError(
            f"{path}: no space is left to write it; free some and run again (no half-written file remains, and "
            "finished work is kept)"
        ) from error


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes: PyTorch raises an error of its own while it handles that of the write."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _says_full(error: BaseException) -> bool:
    number = isinstance(error, OSError) and error.errno in FULL
    return number or any(text in str(error) for text in FULL_TEXTS)


@contextmanager
def written_beside(path: str | Path) -> Iterator[Path]:
    """Yield a temporary file name beside `path`; on success it becomes `path`, on an exception it is removed.

    A link stays, and its target is replaced. A device or pipe is written to at the end of the block.

    Raises:
        InputError: `path` is a folder, its links form a circle, or there is no space.
    """
    path = final_file(path)
    if is_stream(path):
        with TemporaryDirectory() as folder:
            beside = Path(folder, path.name)
            yield beside
            try:
                write_through(beside, path)
            except OSError as error:
                # Free disk space says nothing about a device
                if error.errno in FULL:
                    raise InputError(f"{path}: no space is left to write it; free some and run again") from None
                raise OSError(error.errno, error.strerror, str(path)) from None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays at the end, because some writers choose the format by it
    beside = _beside(path, path.stem, f".partial{path.suffix}")
    try:
        with full_disk_explained(path):
            mode = _made(beside, path)
            yield beside
            # Some writers create a new file that only its owner may read
            beside.chmod(mode)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _beside(path: Path, name: str, end: str) -> Path:
    """A temporary path beside `path` for this process alone; what killed processes have left in the folder goes.

    Two runs may write one path at the same time: the last to finish decides what it holds, and neither is mixed in.
    """
    _tidy(path.parent)
    mine = path.with_name(f".{_start(name)}.{_here()}-{os.getpid()}{end}")
    _remove(mine)
    return mine


@cache
def _here() -> str:
    """Where this process's number is its own: the machine, and the container in it."""
    container = Path("/proc/self/ns/pid")
    place = f"{socket.gethostname()} {container.stat().st_ino if container.exists() else ''}"
    return hashlib.sha256(place.encode()).hexdigest()[:8]


@cache
def _tidy(folder: Path) -> None:
    """Remove what killed processes have left in a folder, once; an old folder whose new one is missing goes back.

    Another process may do the same at the same time. A folder that may be written but not listed stays as it is.
    """
    left = re.compile(rf"\.(?P<name>.+)\.{_here()}-(?P<process>[0-9]+)\.(?P<kind>partial|old)(?:\..*)?", re.DOTALL)
    try:
        paths = list(folder.iterdir())
    except PermissionError:
        return
    for path in paths:
        found = left.fullmatch(path.name)
        if found is None:
            continue
        # This process has left nothing yet: a container that starts again may have the number of the killed one
        if (process := int(found["process"])) != os.getpid() and psutil.pid_exists(process):
            continue
        if found["kind"] == "old" and not (before := path.with_name(found["name"])).exists():
            with suppress(FileNotFoundError):
                path.replace(before)
        else:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _start(name: str) -> str:
    """The start of a name, cut so that a suffix still fits into the maximum length of file systems."""
    return name.encode("utf-8", "surrogateescape")[:NAME_START].decode("utf-8", "ignore")


def _made(beside: Path, path: Path) -> int:
    """Create the file and return the permissions that the umask gives it."""
    try:
        beside.unlink(missing_ok=True)
        beside.touch()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    return stat.S_IMODE(beside.stat().st_mode)


@contextmanager
def directory_beside(path: str | Path) -> Iterator[Path]:
    """Yield a fresh directory beside `path`; on success it replaces `path`, on an exception it is removed.

    Raises:
        InputError: `path` is not a folder, it is or contains the current folder, or there is no space.
    """
    path = final_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside, old = (_beside(path, path.name, end) for end in (".partial", ".old"))
    try:
        with full_disk_explained(path):
            beside.mkdir()
            yield beside
            # As above; a file gets the folder's permissions without the execute bits
            mode = stat.S_IMODE(beside.stat().st_mode) & 0o666
            for file in beside.rglob("*"):
                if file.is_file() and not file.is_symlink():
                    file.chmod(mode)
        _swapped(beside, path, old)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)


def _swapped(new: Path, path: Path, old: Path) -> None:
    """Put the folder `new` at `path`; what is there goes to `old`, and comes back if that fails or is stopped.

    Deleting it first would take a while, in which a reader would see half a folder.
    """
    for attempt in range(ATTEMPTS):
        try:
            if path.exists():
                path.replace(old)
            new.replace(path)
        except BaseException as error:
            if old.exists() and not path.exists():
                old.replace(path)
            # Another run may have put its folder there meanwhile
            if not isinstance(error, OSError) or error.errno not in THERE or attempt == ATTEMPTS - 1:
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            return


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file, atomically."""
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any, *, exact: bool = False) -> None:
    """Write `value` as indented JSON with a final newline, atomically; numbers that are not finite become null.

    Args:
        exact: keep all digits, for numbers that are the same on every machine (given, counted, or already rounded).
            Without it, numbers are rounded, see rounding.py.
    """
    value = json_numbers(value if exact else rounded_values(value))
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def replace_between(path: str | Path, name: str, text: str) -> None:
    """Replace the text between `<!-- name:begin -->` and `<!-- name:end -->` in a file, atomically.

    Raises:
        InputError: the file or one of the markers is missing.
    """
    path, begin, end = Path(path), f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if begin not in before or end not in before:
        raise InputError(f"{path}: has no place for results; add the lines {begin.strip()} and {end}")
    head, rest = before.split(begin, 1)
    tail = rest.split(end, 1)[1]
    write_text(path, f"{head}{begin}{text}{end}{tail}")


def read_json(path: str | Path, needed: Sequence[str] = ()) -> Any:
    """The content of a JSON file; with `needed`, an object that has these keys.

    Raises:
        InputError: the file is damaged, or a key is missing.
    """
    with damage_explained(path):
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    if needed:
        _check(path, "key", needed, value if isinstance(value, dict) else ())
    return value


def read_parquet(path: str | Path, needed: Sequence[str] = (), *, only: bool = False) -> pd.DataFrame:
    """A table that has the `needed` columns; with `only`, no others are read.

    Raises:
        InputError: the file is damaged, or a column is missing.
    """
    # Opened here, because the library's error for a missing file does not name the file
    with damage_explained(path), Path(path).open("rb") as handle:
        _check(path, "column", needed, pq.read_schema(handle).names)
        return pd.read_parquet(path, columns=list(needed) if only else None)


def read_arrays(path: str | Path, needed: Sequence[str]) -> dict[str, np.ndarray]:
    """The `needed` arrays of a .npz file; pickled ones are refused.

    Raises:
        InputError: the file is damaged, or an array is missing.
    """
    with damage_explained(path), Path(path).open("rb") as handle:
        if not zipfile.is_zipfile(handle):
            # NumPy would treat it as a pickle and explain how to allow pickles
            raise damaged(path, "not a whole .npz archive")
        handle.seek(0)
        with np.load(handle, allow_pickle=False) as arrays:
            _check(path, "array", needed, arrays.files)
            return {name: arrays[name] for name in needed}


def read_tensors(path: str | Path, needed: Sequence[str] = ()) -> dict[str, "Tensor"]:
    """All tensors of a safetensors file, which must include the `needed` ones.

    Raises:
        InputError: the file is damaged, or a tensor is missing.
    """
    # Imported only here, because the early stages run without PyTorch
    from safetensors.torch import load_file

    # Opened here, because for a file of another user the library reports that it does not exist
    with damage_explained(path), Path(path).open("rb"):
        tensors = load_file(path)
    _check(path, "tensor", needed, tensors)
    return tensors


def check_tensors(path: str | Path) -> None:
    """Raise an InputError if a safetensors file is not as long as its header says; no tensor is read."""
    from safetensors import safe_open

    with damage_explained(path), safe_open(path, "numpy"):
        pass


def tensor_kinds(path: str | Path) -> dict[str, str]:
    """Names and data types (such as F16) of the tensors in a safetensors file; no tensor is read.

    Raises:
        InputError: the file is damaged.
    """
    from safetensors import safe_open

    with damage_explained(path), safe_open(path, "numpy") as opened:
        names = opened.keys()
        return {name: opened.get_slice(name).get_dtype() for name in names}


def _check(path: str | Path, kind: str, needed: Sequence[str], found: Collection[str]) -> None:
    missing = [name for name in needed if name not in found]
    if missing:
        raise damaged(path, f"no {kind} '{missing[0]}'")


def write_parquet(path: str | Path, frame: pd.DataFrame) -> None:
    """Write `frame` without its index, atomically. The same frame and library version give the same bytes."""
    with written_beside(path) as beside:
        frame.to_parquet(beside, index=False)


def write_parquet_parts(path: str | Path, parts: Iterable[pd.DataFrame]) -> None:
    """`write_parquet` for a table in one or more parts, each a row group; the whole need not fit into memory."""
    with written_beside(path) as beside, ExitStack() as opened:
        writer = None
        for part in parts:
            table = pa.Table.from_pandas(part, preserve_index=False)
            writer = writer or opened.enter_context(pq.ParquetWriter(beside, table.schema, compression="snappy"))
            writer.write_table(table)


def write_csv(path: str | Path, frame: pd.DataFrame) -> None:
    """Write `frame` without its index, atomically; numbers are rounded, see rounding.py."""
    with written_beside(path) as beside:
        rounded_frame(frame).to_csv(beside, index=False)
