"""Run a stage's script: errors become one line, and log lines also go to a file that can be attached to a report."""

import gc
import hashlib
import logging
import os
import platform
import re
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from logging.handlers import RotatingFileHandler
from pathlib import Path

from trcgl.runtime.errors import InputError, exit_code
from trcgl.runtime.logging import LineFormatter, get_logger
from trcgl.runtime.outs import unwritable
from trcgl.runtime.provenance import commit_of_code

LOGS = Path("logs")
BYTES, KEPT = 2**20, 3
"""A log is rotated at this size in bytes, and this many older ones are kept."""
NAMED = ("torch", "torchvision", "diffusers", "transformers", "timm", "dvc", "numpy", "pandas")


def run_stage(main: Callable[[], None]) -> int:
    """`exit_code` of `main`, with a log in `logs/`, named after the script and its arguments.

    The log starts with the facts for a bug report (commit, versions, machine, a hash of params.yaml), followed by what
    the terminal shows. If it cannot be written (read-only folder, full disk), the run continues without it.
    """
    # Imported objects are excluded from garbage collection: searching them once more at exit takes a second
    gc.freeze()
    _forget_taste()
    words = [Path(sys.argv[0]).stem, *sys.argv[1:]]
    handler = _LogFile(LOGS / (re.sub(r"[^\w.-]+", "-", "-".join(words))[:100] + ".log"))
    root = get_logger("stage").parent
    assert root is not None
    root.addHandler(handler)
    try:
        handler.note("%s: %s", " ".join(words), about())

        def checked() -> None:
            _check_writable(words[0])
            main()

        code = exit_code(checked, failed=lambda line: handler.note("%s", line))
        handler.note("exit code %d", code)
        return code
    except Exception:  # A bug: it is logged and raised unchanged
        handler.note("ended by a bug", exc_info=True)
        raise
    finally:
        root.removeHandler(handler)
        handler.close()


def _forget_taste() -> None:
    """Draw figures in matplotlib's own style, whatever a user's matplotlibrc says: they are outputs."""
    os.environ["MATPLOTLIBRC"] = os.devnull
    if (loaded := sys.modules.get("matplotlib")) is not None:
        loaded.rcdefaults()


def _check_writable(stage: str) -> None:
    """Stop before the work, not after it, if the outputs cannot be written."""
    for place in unwritable(stage):
        raise InputError(f"{place}: may not be written by this user; change its permissions or owner, and run again")


def about() -> str:
    """Commit, versions, machine and parameters in one line."""
    found = []
    for name in NAMED:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} missing")
    params = Path("params.yaml")
    fingerprint = hashlib.sha256(params.read_bytes()).hexdigest()[:12] if params.is_file() else "none"
    return (
        f"commit {commit_of_code()}; Python {platform.python_version()}; {', '.join(found)}; {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores; params.yaml {fingerprint}"
    )


class _LogFile(RotatingFileHandler):
    """A log file that is silently abandoned if it cannot be written."""

    def __init__(self, path: Path):
        super().__init__(
            path, maxBytes=BYTES, backupCount=KEPT, encoding="utf-8", errors="backslashreplace", delay=True
        )
        self.setFormatter(LineFormatter("%(asctime)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            Path(self.baseFilename).parent.mkdir(exist_ok=True)
        except OSError:
            return
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        del record

    def note(self, message: str, *values: object, exc_info: bool = False) -> None:
        """Write a line to the file only."""
        info = sys.exc_info() if exc_info else None
        self.handle(logging.LogRecord("trcgl.stage", logging.INFO, __file__, 0, message, values, info))
