"""Free disk space, checked before the work begins and not after hours of it."""

import errno
import shutil
from pathlib import Path

from trcgl.runtime.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The errors of a write for which there is no space: on the disk, in the quota, or in a file."""


def check_space(place: str | Path, need: int, what: str) -> None:
    """Stop before the work begins if `what` will not fit.

    Args:
        place: folder that will hold the output; it need not exist yet.
        need: number of bytes that will be written at least.
        what: name of the output in the plural, for the message, such as "12 images".

    Raises:
        InputError: less space is free.
    """
    free = free_bytes(Path(place))
    if need > free:
        raise InputError(
            f"{place}: {what} need {size_text(need)} but only {size_text(free)} are free; free some space and run "
            "again (nothing was started, and finished work is kept)"
        )


def free_bytes(place: Path) -> int:
    """Free space, in bytes, where `place` is or will be."""
    return shutil.disk_usage(existing(place)).free


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.exists())


def size_text(count: float) -> str:
    """A number of bytes with a decimal unit, such as "25 kB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
