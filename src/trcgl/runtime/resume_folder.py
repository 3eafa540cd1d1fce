"""The folder for a long stage's resumable state.

It lies outside the stage's outputs, because DVC deletes these before it runs a stage again. It is a git-ignored folder
of the main working copy (`DVC_ROOT` also points there from an experiment's temporary copy). Its name is a hash of the
stage's parameters, inputs and code: after a change to any of them the stage starts from the beginning.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]


def resume_folder(stage: str, *, params: Any, inputs: Iterable[str | Path] = ()) -> Path:
    """The folder for a stage's state; it is not created here."""
    key = hashlib.sha256()
    key.update(repr(params).encode())
    for path in inputs:
        key.update(_tree_hash(Path(path)))
    # The whole package is hashed, because a module that matters is easily missed
    key.update(_tree_hash(PACKAGE, "*.py"))
    return resume_root() / stage / key.hexdigest()[:24]


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
