"""Progress of a generator's training: the finished phases, the running phase and the loss curve."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from torch import Tensor

from trcgl.runtime.checkpoint import ResumePoint


class Journal:
    """What the stage has done so far, kept in a ResumePoint.

    Saved: the trainable weights of each finished phase, the state of the running phase (see `TrainingState`), and the
    loss curve. Not saved: latents and text embeddings, which are computed again.
    """

    def __init__(
        self,
        resume: ResumePoint | None = None,
        *,
        writes: bool = True,
        tell: Callable[[pd.DataFrame], None] = lambda curve: None,
    ):
        """Start, or continue from the state in `resume`.

        Args:
            writes: True in one process only. All processes continue from the same state.
            tell: called with the whole curve after each new row, if `writes` is True.
        """
        self._resume, self._writes, self._tell = resume, writes, tell
        state = resume.load() if resume else None
        self.finished: dict[str, dict[str, Tensor]] = state["finished"] if state else {}
        self.running: dict[str, Any] | None = state["running"] if state else None
        self._curve: list[list[Any]] = state["curve"] if state else []

    def running_of(self, phase: str) -> dict[str, Any] | None:
        """The kept state of a phase that was interrupted; None if this phase is not the running one."""
        return self.running if self.running and self.running["phase"] == phase else None

    def record(self, phase: str, step: int, loss: float) -> None:
        """Add a row to the curve."""
        self._curve.append([phase, step, loss])
        if self._writes:
            self._tell(self.curve())

    def keep(self, phase: str, state: dict[str, Any]) -> None:
        """Replace the kept state of the running phase."""
        self.running = {"phase": phase} | state
        self._save()

    def finish(self, phase: str, weights: dict[str, Tensor]) -> None:
        """Keep the weights that a phase has ended with."""
        self.finished[phase] = weights
        self.running = None
        self._save()

    def _save(self) -> None:
        if self._resume and self._writes:
            self._resume.save({"finished": self.finished, "running": self.running, "curve": self._curve})

    def curve(self) -> pd.DataFrame:
        """The loss curve [phase, step, loss], each row a mean over the steps since the row before."""
        return pd.DataFrame(self._curve, columns=pd.Index(["phase", "step", "loss"]))
