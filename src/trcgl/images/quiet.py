"""Messages of image libraries name no file, our record does: they are kept off the terminal."""

import logging
import os
import re
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

# What they warn of is refused or harmless. Not by warnings.catch_warnings, which changes the filters of all threads.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
for _library in ("PIL", "pydicom"):
    warnings.filterwarnings("ignore", module=rf"{_library}\b")
    logging.getLogger(_library).setLevel(logging.CRITICAL)

_OF_LIBRARIES = re.compile(rb"libpng |tempfile\.tif: |(?!\w*(Error|Exception|Warning))_?[A-Z]\w*: ")
"""How lines of libpng and libtiff begin: with the latter's file or function, which is not an exception of Python's."""


class _Redirected:
    """The process's stderr while libraries decode, which all threads share.

    Attributes:
        depth: decoders at work.
        stderr: the real one.
        seen: bytes of `file` that were looked at.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth = 0

    def enter(self) -> None:
        with self.lock:
            if self.depth == 0:
                # OSError: a process without stderr
                self.stderr = os.dup(2)
                self.file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by the last decoder that leaves)
                self.seen = 0
                os.dup2(self.file.fileno(), 2)
            self.depth += 1

    def leave(self) -> None:
        with self.lock:
            self.depth -= 1
            if self.depth == 0:
                os.dup2(self.stderr, 2)
            self._pass_on(whole=self.depth == 0)
            if self.depth == 0:
                self.file.close()
                os.close(self.stderr)

    def _pass_on(self, *, whole: bool) -> None:
        """Write what others have said meanwhile, such as our own log in another thread, to the real stderr."""
        written = os.fstat(self.file.fileno()).st_size
        if written == self.seen:
            return
        text = os.pread(self.file.fileno(), written - self.seen, self.seen)
        if not whole:
            text = text[: text.rfind(b"\n") + 1]
        self.seen += len(text)
        others = b"".join(line for line in text.splitlines(keepends=True) if not _OF_LIBRARIES.match(line))
        while others:
            others = others[os.write(self.stderr, others) :]


_redirected = _Redirected()


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Drop what libpng and libtiff print meanwhile; anybody else's lines arrive a little later."""
    try:
        _redirected.enter()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        _redirected.leave()
