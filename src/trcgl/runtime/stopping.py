"""SIGTERM and Ctrl-C end a run cleanly: one line, a nonzero exit code, and a checkpoint where a loop can save one."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
    """The run was asked to stop. Not an Exception, because only `exit_code` may catch it."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return signal.Signals(self.number).name


class _Request:
    """A signal that arrived inside a step and is kept until the step ends."""

    waits = False
    number: int | None = None


def _arrived(number: int, frame: FrameType | None) -> None:
    del frame
    # torchrun passes SIGTERM on, so a worker that a batch system signals as well gets the same request twice
    again = number == signal.SIGTERM and "TORCHELASTIC_RUN_ID" in os.environ
    if _Request.waits and (_Request.number is None or again):
        _Request.number = number
        return
    # A second signal stops at once, even inside a step: the user is in a hurry
    raise Stopped(number)


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Within the block SIGTERM and Ctrl-C raise `Stopped`, unless the process was started with them ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _arrived)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def whole_steps() -> Iterator[Callable[[], bool]]:
    """Within the block a first signal does not interrupt a step; between steps the loop asks whether to leave.

    Yields:
        A function that returns whether a signal has arrived. If so, the loop saves its state and leaves the block,
        which then raises `Stopped`.
    """
    _Request.waits, _Request.number = True, None
    try:
        yield lambda: _Request.number is not None
    finally:
        _Request.waits = False
    if _Request.number is not None:
        raise Stopped(_Request.number)
