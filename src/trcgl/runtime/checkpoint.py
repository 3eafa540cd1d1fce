"""Resumable state of a long stage: atomic, keyed by everything the result depends on, gone once the stage succeeded.

DVC deletes a stage's outputs before it runs it again, so this state lives outside the outputs, in a git-ignored
folder of the main working copy (`DVC_ROOT` also points there from an experiment's temporary copy). Its name is a
hash of the stage's parameters, inputs and code: a change of any starts from the beginning.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from trcgl.runtime.files import written_beside

PACKAGE = Path(__file__).parents[1]


def _tree_hash(path: Path, pattern: str = "*") -> bytes:
    """SHA-256 over contents and names, relative to `path`, of a file or of the files in a folder."""
    digest = hashlib.sha256()
    files = sorted(file for file in path.rglob(pattern) if file.is_file()) if path.is_dir() else [path]
    for file in files:
        digest.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.digest()


class ResumePoint:
    """Where one stage keeps its latest state.

    Saved: whatever dictionary of tensors, numbers, strings, lists and dictionaries the stage gives (weights,
    optimiser, schedule position, EMA, generators' states). Not saved: inputs, parameters and code; their hash is the
    key, so state of other inputs is never found.
    """

    def __init__(self, stage: str, *, params: Any, inputs: Iterable[str | Path] = ()):
        key = hashlib.sha256()
        key.update(repr(params).encode())
        for path in inputs:
            key.update(_tree_hash(Path(path)))
        # The whole package: a resumed run must agree with itself, and which modules matter is easily missed
        key.update(_tree_hash(PACKAGE, "*.py"))
        root = Path(os.environ.get("DVC_ROOT", ".")) / ".resume" / stage
        self.folder = root / key.hexdigest()[:24]
        self._file = self.folder / "state.pt"

    def load(self) -> dict[str, Any] | None:
        """The latest state, or None at a fresh start."""
        if not self._file.exists():
            return None
        return torch.load(self._file, map_location="cpu", weights_only=True)

    def save(self, state: dict[str, Any]) -> None:
        """Replace the latest state atomically."""
        with written_beside(self._file) as beside:
            torch.save(state, beside)

    def clear(self) -> None:
        """Forget the state: the stage's outputs are in place."""
        shutil.rmtree(self.folder, ignore_errors=True)
