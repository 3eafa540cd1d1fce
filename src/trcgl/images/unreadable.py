"""The exception for files without a usable image, and common checks that raise it."""

import re

MAX_PIXELS = 200_000_000
"""More than any radiograph (a 17 x 17 inch plate at 50 um has 75 million): larger ones are decompression bombs."""
ADDRESS = re.compile(r"\s*<[^<>]* at 0x[0-9A-Fa-f]+>")


class UnreadableImage(Exception):
    """A file without a usable image; the message is a short reason."""


def one_line(error: BaseException | str) -> str:
    """A text (such as a library's message) on one line of limited length; if it is empty, the exception's type name.

    Left out are addresses in memory, which differ from run to run.
    """
    text = ADDRESS.sub("", str(error))
    return " ".join(text.split())[:160] or type(error).__name__


def check_size(width: int, height: int) -> None:
    """Raise UnreadableImage if there are too many pixels, before memory is allocated."""
    if width * height > MAX_PIXELS:
        raise UnreadableImage(f"{width} x {height} pixels; more than {MAX_PIXELS} are refused")


def check_frames(count: int, what: str = "frames") -> None:
    """Raise UnreadableImage if there are several pictures, because it is unknown which one is meant."""
    if count > 1:
        raise UnreadableImage(f"{count} {what}; a radiograph has one")
