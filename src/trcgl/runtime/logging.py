"""One plain line per event (progress bars garble the logs of queues and CI), and a progress bar on a terminal."""

import logging
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from trcgl.runtime.errors import one_visible_line


class LineFormatter(logging.Formatter):
    """Write each message as one line, even if it quotes a file name with a line break."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return one_visible_line(super().formatMessage(record))


def get_logger(name: str) -> logging.Logger:
    """A logger that prints `HH:MM:SS name: message` to stderr."""
    root = logging.getLogger("trcgl")
    if not root.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(LineFormatter("%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S"))
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        root.propagate = False
    return root.getChild(name)


def silence() -> None:
    """Print only errors in this process, because another process prints the same events."""
    logging.getLogger("trcgl").setLevel(logging.ERROR)


def progress(items: Iterable[Any], *, total: int | None = None, what: str) -> "tqdm[Any]":
    """Iterate with a progress bar on a terminal, silently elsewhere."""
    return tqdm(items, total=total, desc=what, disable=None, leave=False, dynamic_ncols=True)
