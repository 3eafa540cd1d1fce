"""What is said about a file without a usable image."""

MAX_PIXELS = 200_000_000
"""More than any radiograph (a 17 x 17 inch plate at 50 um has 75 million): larger ones are decompression bombs."""


class UnreadableImage(Exception):
    """A file without a usable image; the message is a short reason."""


def one_line(error: BaseException | str) -> str:
    """A library's message or a file's own words on one line of limited length; an exception's name if it has none."""
    return " ".join(str(error).split())[:160] or type(error).__name__


def check_size(width: int, height: int) -> None:
    """Raise UnreadableImage before memory is asked for."""
    if width * height > MAX_PIXELS:
        raise UnreadableImage(f"{width} x {height} pixels; more than {MAX_PIXELS} are refused")


def check_frames(count: int, what: str = "frames") -> None:
    """Raise UnreadableImage unless there is a single picture: which one of several is meant is unknown."""
    if count > 1:
        raise UnreadableImage(f"{count} {what}; a radiograph has one")
