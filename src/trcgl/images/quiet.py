"""Suppress messages of image libraries on the terminal: they name no file, unlike our record of unreadable files."""

import logging
import os
import re
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

# These warnings concern files that are refused anyway, or are harmless. warnings.catch_warnings is not used, because it
# changes the filters of all threads.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
for _library in ("PIL", "pydicom"):
    warnings.filterwarnings("ignore", module=rf"{_library}\b")
    logging.getLogger(_library).setLevel(logging.CRITICAL)

_OF_LIBRARIES = re.compile(
    rb"libpng |tempfile\.tif: |_?TIFF\w*: |(O?JPEG|LZW|ZIP|ZSTD|LZMA|LERC|WebP|WEBP|JBIG|PackBits|Fax[34]|(Init)?CCITT|"
    rb"Thunder|NeXT|PixarLog|Log[LU]|SGILog|DumpMode|MissingRequired|Predictor|BuildMap|EstimateStripByteCounts|ChopUp|"
    rb"CheckDirCount)\w*: "
)
"""How messages of libpng and libtiff begin; those of libtiff begin with the name of a file, codec or function."""


class _Redirected:
    """Redirects the process's stderr, which all threads share, to a temporary file while libraries decode.

    Attributes:
        depth: number of decoders that are running.
        stderr: a copy of the real stderr.
        seen: number of bytes of `file` that were already processed.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth = 0

    def enter(self) -> None:
        with self.lock:
            if self.depth == 0:
                # Raises OSError in a process without stderr
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
        """Write lines that are not from the libraries (such as our own log in another thread) to the real stderr."""
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
    """Drop the messages of libpng and libtiff in the block. All other lines on stderr appear with a short delay."""
    try:
        _redirected.enter()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        _redirected.leave()
