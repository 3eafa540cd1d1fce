"""Room on a disk, asked for before the work and not after hours of it."""

import shutil
from pathlib import Path

from trcgl.runtime.errors import InputError


def check_space(place: str | Path, need: int, what: str) -> None:
    """Stop before `what` is begun if it cannot fit.

    Args:
        place: folder that will hold it; need not be there yet.
        need: bytes still to be written, at the least.

    Raises:
        InputError: less is free.
    """
    free = free_bytes(Path(place))
    if need > free:
        raise InputError(
            f"{place}: {what} need {size_text(need)} but {size_text(free)} are free; make room and run again: nothing "
            "was begun, and what was finished before is kept"
        )


def free_bytes(place: Path) -> int:
    """Free space where `place` is or will be."""
    return shutil.disk_usage(existing(place)).free


def existing(path: Path) -> Path:
    """The path, or the first folder above it that is there."""
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.exists())


def size_text(count: float) -> str:
    """Bytes as a person reads them."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
