"""Resumable state of a long stage: atomic, verified, keyed by all that the result depends on, deleted after success."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from trcgl.runtime.files import full_disk_explained
from trcgl.runtime.logging import get_logger
from trcgl.runtime.resume_folder import file_hash, resume_folder

log = get_logger("checkpoint")


class ResumePoint:
    """Where one stage keeps its latest state, and the one before it in case the latest is damaged.

    Saved: the stage's dictionary of tensors, numbers, strings, lists and dictionaries (weights, optimiser, schedule
    position, EMA, generators' states). Not saved: inputs, parameters and code; their hash is the key, so the state of
    other inputs is never found.

    A state's file is called `state-<number>-<SHA-256 of its content>.pt`: one rename puts content and hash in place.
    """

    def __init__(self, stage: str, *, params: Any, inputs: Iterable[str | Path] = ()):
        self.folder = resume_folder(stage, params=params, inputs=inputs)
        self._latest: Path | None = None

    def load(self) -> dict[str, Any] | None:
        """The latest intact state, or None at a fresh start."""
        for file in sorted(self.folder.glob("state-*.pt"), reverse=True):
            if file_hash(file) == file.stem.rsplit("-", 1)[1]:
                self._latest = file
                return torch.load(file, map_location="cpu", weights_only=True)
            log.warning("%s is damaged or cut short; an earlier state is used, or the stage starts anew", file)
        return None

    def save(self, state: dict[str, Any]) -> None:
        """Add a state, atomically; of the earlier ones only the latest stays."""
        number = 1 + (int(self._latest.stem.split("-")[1]) if self._latest else 0)
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.folder / ".state.partial"
        try:
            with full_disk_explained(self.folder), beside.open("wb") as handle:
                torch.save(state, handle)
                # A rename may reach the disk before the content does
                handle.flush()
                os.fsync(handle.fileno())
            saved = self.folder / f"state-{number:08d}-{file_hash(beside)}.pt"
            beside.replace(saved)
        finally:
            beside.unlink(missing_ok=True)
        for file in self.folder.glob("state-*.pt"):
            if file not in (saved, self._latest):
                file.unlink()
        self._latest = saved

    def clear(self) -> None:
        """Forget the state: the stage's outputs are in place."""
        shutil.rmtree(self.folder, ignore_errors=True)
