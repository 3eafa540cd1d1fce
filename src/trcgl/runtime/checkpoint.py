"""Resumable state of a long stage: atomic, verified, keyed by everything the result depends on, deleted at success."""

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
    """The latest saved state of one stage, and the state before it in case the latest is damaged.

    Saved: the stage's dictionary of tensors, numbers, strings, lists and dictionaries (weights, optimiser, schedule
    position, EMA, states of random generators). Not saved: inputs, parameters and code. Their hash is the key, so a
    state that belongs to other inputs is never loaded.

    A state's file is called `state-<number>-<SHA-256 of its content>.pt`, so one rename publishes content and hash.
    """

    def __init__(self, stage: str, *, params: Any, inputs: Iterable[str | Path] = ()):
        self.folder = resume_folder(stage, params=params, inputs=inputs)
        self._latest: Path | None = None

    def load(self) -> dict[str, Any] | None:
        """The latest intact state, or None if the stage starts from the beginning."""
        for file in sorted(self.folder.glob("state-*.pt"), reverse=True):
            if file_hash(file) == file.stem.rsplit("-", 1)[1]:
                self._latest = file
                return torch.load(file, map_location="cpu", weights_only=True)
            log.warning("%s is damaged or cut short; an earlier state is used, or the stage starts anew", file)
        return None

    def save(self, state: dict[str, Any]) -> None:
        """Save a state atomically; of the earlier states only the latest is kept."""
        number = 1 + (int(self._latest.stem.split("-")[1]) if self._latest else 0)
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.folder / ".state.partial"
        try:
            with full_disk_explained(self.folder), beside.open("wb") as handle:
                torch.save(state, handle)
                # Without this, the rename might reach the disk before the content
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
        """Delete the saved states, once the stage's outputs are in place."""
        shutil.rmtree(self.folder, ignore_errors=True)
