"""Expand files, folders and patterns to a list of image files, in a fixed order and without duplicates.

Everything that is left out has a reason.
"""

import errno
import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from trcgl.images.kinds import is_image
from trcgl.images.listing import OTHER, Listing, list_images
from trcgl.images.manifest import no_image
from trcgl.runtime.errors import InputError


@dataclass
class Found:
    """The files to read.

    Attributes:
        images: paths as given (those from a folder start with the folder), in the order of the arguments.
        skipped: (path, reason) of everything that is not an image.
        closed: (path, reason) of everything that cannot be opened; it may be an image or contain images.
    """

    images: list[Path] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)


def find_images(arguments: Iterable[str | Path]) -> Found:
    """The image files that the arguments name.

    A file is always listed, whatever its name, even if it is missing. A missing file is later reported as unreadable,
    and the other files are still processed. A folder gives its images at all depths, sorted by path, see `list_images`.
    A pattern (`*`, `?`, `[...]`, `**` for any depth) gives the images among its matches, sorted, then those in matching
    folders, as if the shell had expanded it. A file that is named twice is listed once, even if its path is written in
    two ways or leads through a linked folder.

    Raises:
        InputError: no argument is given, or one that is not a file name; or a folder or pattern gives no image.
    """
    found, files = Found(), {}
    places: dict[Path, str] = {}
    for argument in arguments:
        if not isinstance(argument, str | os.PathLike):
            raise InputError(f"an image is given as {type(argument).__name__}; give the name of its file")
        for path in _files(str(argument), found):
            if path.parent not in places:
                places[path.parent] = os.path.realpath(path.parent)
            # Only the folder is resolved. The file itself may be a link, but the user gave the link's name
            files.setdefault((places[path.parent], path.name), path)
    found.images = list(files.values())
    if not found.images:
        raise InputError("no image is given; give files, folders or patterns such as 'scans/*.dcm'")
    found.skipped, found.closed = sorted(set(found.skipped)), sorted(set(found.closed))
    return found


def _files(argument: str, found: Found) -> list[Path]:
    if not argument:
        raise InputError("an empty name ('') is given for an image; give files, folders or patterns")
    path = Path(argument)
    try:
        folder = path.is_dir()
    except OSError:  # a folder that may not be entered, a name that is too long; the decoder reports the reason later
        return [path]
    if folder:
        return _in_folder(path, found)
    # A file's own name may contain brackets, so an existing file is not treated as a pattern
    if os.path.lexists(path) or not glob.has_magic(argument):
        return [path]
    if "**" in path.parts:
        return _at_any_depth(path, found)
    matches = [Path(match) for match in sorted(glob.glob(argument))]  # noqa: PTH207 (takes absolute ones)
    found.closed.extend(_closed_on_the_way(path))
    folders = dict.fromkeys(match for match in matches if match.is_dir())
    images = [file for file in matches if file not in folders and _looks_like_an_image(file, found)]
    for folder in folders:
        images += _listed(folder, list_images(folder), found)
    if not images:
        raise InputError(f"{argument}: no {'image' if matches else 'file'} matches this pattern")
    return images


def _closed_on_the_way(pattern: Path) -> list[tuple[str, str]]:
    """The folders that a pattern would look into, if they could be opened; glob leaves them out without a word."""
    closed, parts = [], pattern.parts
    for depth in range(1, len(parts)):
        needed = os.R_OK | os.X_OK if glob.has_magic(parts[depth]) else os.X_OK
        for match in sorted(glob.glob(str(Path(*parts[:depth])))):  # noqa: PTH207 (takes absolute ones)
            folder = os.path.isdir(match)  # noqa: PTH112 (pathlib's raises an error at a link into a closed folder)
            if folder and not os.access(match, needed, effective_ids=True):
                closed.append((match, f"cannot be listed: {os.strerror(errno.EACCES)}"))
    return closed


def _at_any_depth(pattern: Path, found: Found) -> list[Path]:
    """The images that match a pattern with `**`. Links are followed; circular links do no harm."""
    parts = pattern.parts
    depth = next(k for k, part in enumerate(parts) if glob.has_magic(part))
    folder, rest = Path(*parts[:depth]), parts[depth:]
    listing = list_images(folder)
    images = [path for path in listing.images if _covers(rest, path)]
    if not images:
        raise InputError(f"{pattern}: no image matches this pattern")
    found.skipped.extend((str(folder / path), why) for path, why in listing.skipped if _covers(rest, path))
    found.closed.extend((str(folder / path), why) for path, why in listing.closed)
    return [folder / path for path in images]


def _covers(pattern: Sequence[str], path: str) -> bool:
    """Whether a pattern matches a path, or a folder that the path is in."""
    parts = path.split("/")
    return any(_matches(parts[:depth], pattern) for depth in range(1, len(parts) + 1))


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        # `**` at the end matches the files at all depths
        return len(pattern) == 1 or any(_matches(parts[k:], pattern[1:]) for k in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _looks_like_an_image(file: Path, found: Found) -> bool:
    try:
        # A pipe is not opened, because that would block
        if file.is_file() and not is_image(file):
            found.skipped.append((str(file), OTHER))
            return False
    except OSError:
        pass  # The decoder reports the reason later
    return True


def _in_folder(folder: Path, found: Found) -> list[Path]:
    listing = list_images(folder)
    if not listing.images:
        raise InputError(f"{folder}: no image inside; {no_image(listing)}")
    return _listed(folder, listing, found)


def _listed(folder: Path, listing: Listing, found: Found) -> list[Path]:
    found.skipped.extend((str(folder / path), reason) for path, reason in listing.skipped)
    found.closed.extend((str(folder / path), reason) for path, reason in listing.closed)
    return [folder / path for path in listing.images]
