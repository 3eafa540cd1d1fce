"""Where an output is written: into a file, through a link to its target, or directly into a device or pipe."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from trcgl.runtime.disk import existing
from trcgl.runtime.errors import InputError

LINKS = 40
"""As many as Linux follows."""
OWN_STREAM = re.compile(rf"/proc/(?:self|{os.getpid()})/fd/(\d+)")
DVC_CACHE = re.compile(r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}")
"""How DVC's cache names a file; its links to such files must be replaced, because the cache must not change."""


def final_file(path: str | Path) -> Path:
    """The file that is written for `path`: the target of a link, so that the link stays.

    Raises:
        InputError: `path` is a folder, or its links form a circle.
    """
    path = place = Path(path)
    for _ in range(LINKS):
        # Links in the parent folders are followed too: /dev/fd is one
        absolute = Path(os.path.realpath(place.parent)) / place.name
        if OWN_STREAM.fullmatch(str(absolute)):
            return absolute
        if place.name in ("", "..") or place.is_dir():
            raise InputError(f"{path}: is a folder; give a file name")
        if not place.is_symlink() or DVC_CACHE.search(os.path.realpath(place)):
            return place
        place = absolute.parent / place.readlink()
    raise InputError(f"{path}: links lead in a circle; give another file name")


def final_folder(path: str | Path) -> Path:
    """The folder that is replaced for `path`: the target of a link, so that the link stays.

    Raises:
        InputError: `path` is not a folder, or it is or contains the current folder.
    """
    path = Path(path)
    place = Path(os.path.realpath(path)) if path.is_symlink() else path
    if Path.cwd().is_relative_to(os.path.realpath(place)):
        raise InputError(f"{path}: is or holds the current folder, and would be replaced; give a folder of its own")
    if place.exists() and not place.is_dir():
        raise InputError(f"{path}: is not a folder; give the name of one")
    return place


def is_stream(place: Path) -> bool:
    """Whether `place` is written into instead of being replaced: a device, a pipe or a stream of this process."""
    if OWN_STREAM.fullmatch(str(place)):
        return True
    return place.exists() and not place.is_file() and not place.is_dir()


def write_through(source: Path, place: Path) -> None:
    """Copy a file into a device or pipe."""
    own = OWN_STREAM.fullmatch(str(place))
    # A duplicate of the stream shares its position in a file that others write to as well; a new handle would not
    target = os.dup(int(own[1])) if own else os.open(place, os.O_WRONLY)
    with source.open("rb") as read, os.fdopen(target, "wb") as written:
        shutil.copyfileobj(read, written)


def check_output(path: Path, flag: str, inputs: Mapping[str, Path | None] | None = None) -> None:
    """Stop before the work if `path` cannot be written, or is one of the inputs.

    Args:
        flag: the option that gave it, for the message.
        inputs: option -> file, or a folder none of whose files may be overwritten.

    Raises:
        InputError: see above.
    """
    place = final_file(path)
    for name, given in (inputs or {}).items():
        if given is None or not place.exists() or not given.exists():
            continue
        own = Path(os.path.realpath(place))
        if place.samefile(given) or (given.is_dir() and own.is_relative_to(os.path.realpath(given))):
            raise InputError(f"{path}: is read as {name}, and would be overwritten; give another name for {flag}")
    if not is_stream(place):
        _check_parent(place.parent, path, flag)


def check_replaced_folder(path: Path, flag: str, *, mark: str) -> None:
    """Stop before the work if the folder `path`, which the work replaces as a whole, cannot or must not be replaced.

    Args:
        mark: a file that every folder of this kind has. A folder that is not empty and lacks it must not be replaced.
    """
    place = final_folder(path)
    if place.is_dir() and any(place.iterdir()) and not (place / mark).exists():
        raise InputError(f"{path}: holds other things (no {mark}), and would be replaced; give another name for {flag}")
    _check_parent(place.parent, path, flag)


def check_output_folder(path: Path, flag: str) -> None:
    """Stop before the work if no file can be written into the folder `path`, which need not exist yet."""
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is not a folder; give one for {flag}")
    _check_parent(path, path, flag)


def _check_parent(folder: Path, path: Path, flag: str) -> None:
    if ".." in folder.parts and not folder.exists():
        raise InputError(f"{path}: cannot be written (a folder before '..' is missing); give another name for {flag}")
    parent = existing(folder)
    if not parent.is_dir():
        raise InputError(f"{path}: cannot be written ({parent} is not a folder); give another name for {flag}")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(
            f"{path}: cannot be written ({parent} is read-only for this user); change its permissions, or give another "
            f"name for {flag}"
        )
