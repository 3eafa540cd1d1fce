"""The folder for a long stage's resumable state.

It lies outside the stage's outputs, because DVC deletes these before it runs a stage again. It is a git-ignored folder
of the main working copy (`DVC_ROOT` also points there from an experiment's temporary copy). Its name is a hash of the
stage's parameters, inputs and code: after a change to any of them the stage starts from the beginning. A second run of
the same, such as an experiment that DVC runs elsewhere meanwhile, gets a folder of its own.
"""

import fcntl
import hashlib
import itertools
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]
ATTEMPTS = 20
_held: dict[Path, tuple[Path, int]] = {}
"""For each state's folder, the one that this process has, and the descriptor that locks it until the process ends."""


def _let_go() -> None:
    """In a forked worker: a worker that outlives a killed run must not keep its state locked."""
    for _, lock in _held.values():
        os.close(lock)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


def resume_folder(stage: str, *, params: Any, inputs: Iterable[str | Path] = ()) -> Path:
    """The folder for a stage's state, reserved for this process, or for the processes of one launch together."""
    key = hashlib.sha256()
    key.update(repr(params).encode())
    for path in inputs:
        key.update(_tree_hash(Path(path)))
    # The whole package is hashed, because a module that matters is easily missed
    key.update(_tree_hash(PACKAGE, "*.py"))
    if (script := Path(sys.argv[0])).is_file():
        key.update(_tree_hash(script))
    return _reserved(resume_root() / stage / key.hexdigest()[:24])


def _reserved(folder: Path) -> Path:
    """The folder, or one beside it if another run holds it."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return folder
    mine, lock = _held.pop(folder.absolute(), (folder, None))
    if lock is not None:
        if mine.exists():
            _held[folder.absolute()] = mine, lock
            return mine
        os.close(lock)
    for number in itertools.count(1):
        mine = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            _held[folder.absolute()] = mine, _locked(mine)
        except BlockingIOError:
            continue
        except OSError:
            # A file system without locks; or no folder can be made, which is reported when something is saved there
            return folder
        return mine
    raise AssertionError


def _locked(folder: Path) -> int:
    """A descriptor of the folder, locked; the folder is made if need be.

    Raises:
        BlockingIOError: another process holds it.
        OSError: it cannot be made or locked.
    """
    for _ in range(ATTEMPTS):
        folder.mkdir(parents=True, exist_ok=True)
        # A run that ends meanwhile may remove the folder, before it is opened or after
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), folder.stat()):
                return lock
        os.close(lock)
    raise OSError(f"{folder} is removed again and again")


def resume_root() -> Path:
    """The folder with the states of all stages."""
    return Path(os.environ.get("DVC_ROOT", ".")) / ".resume"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal text."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _tree_hash(path: Path, pattern: str = "*") -> bytes:
    """SHA-256 of the contents and names (relative to `path`) of a file or of all files in a folder."""
    digest = hashlib.sha256()
    files = sorted(file for file in path.rglob(pattern) if file.is_file()) if path.is_dir() else [path]
    for file in files:
        digest.update(file.relative_to(path).as_posix().encode())
        digest.update(bytes.fromhex(file_hash(file)))
    return digest.digest()
