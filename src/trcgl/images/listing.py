"""List the images in a folder. Everything else in the folder is reported with a reason.

Links to files and folders are followed. A folder is listed only once, even if links lead to it, too. So circular links
do no harm, and no image is listed under two names.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from trcgl.images.kinds import has_image_suffix, is_image

HIDDEN, OTHER, SPECIAL = "hidden", "not an image", "a pipe, socket or device"
TWICE = "a folder that is listed under another name"
SYSTEM = frozenset({"lost+found"})
"""System folders at the root of a disk, which users cannot open."""
NAMED = 10


@dataclass
class Listing:
    """The content of a folder. Each part is sorted by path (relative, with forward slashes).

    Attributes:
        images: files that are images, by name or content.
        skipped: (path, reason) of everything that is not an image.
        closed: (path, reason) of everything that cannot be opened; it may be an image or contain images.
    """

    images: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)


def list_images(folder: str | Path) -> Listing:
    """Everything under a folder, at all depths. Hidden files and folders are skipped."""
    walk = _Walk(str(folder))
    walk.folder("")
    # Linked folders come last: the folder that a link leads to may also be listed under its own name
    while walk.links:
        links, walk.links = sorted(walk.links), []
        for path in links:
            walk.folder(path)
    found = walk.found
    for path, error in _opened(walk.root, walk.unclear, found):
        found.closed.append((path, f"cannot be read: {error.strerror}"))
    for part in (found.images, found.skipped, found.closed):
        part.sort()
    return found


def counted(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """One line per reason: the number of paths with this reason, and the first NAMED of them."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for path, reason in pairs:
        by_reason[reason].append(printable(path))
    for reason, paths in sorted(by_reason.items()):
        yield f"{len(paths)} ({reason}): {', '.join(paths[:NAMED])}{', ...' if len(paths) > NAMED else ''}"


def printable(path: str | Path) -> str:
    r"""A path as text. Bytes that are not UTF-8 become `\xf1`, because tables and terminals cannot show such names."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_text(path: str) -> bool:
    """Whether a name is valid UTF-8, which tables require."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Walk:
    """A walk through a folder. It uses strings and directory entries, because Path objects are slow for 100,000 files.

    Attributes:
        unclear: files whose suffix is not that of an image; their content must be checked.
        links: links to folders that are not yet followed.
    """

    def __init__(self, root: str):
        self.root = root
        self.found = Listing()
        self.unclear: list[str] = []
        self.links: list[str] = []
        self._seen: set[tuple[int, int]] = set()

    def folder(self, start: str) -> None:
        """List a folder (a path relative to the root) and its subfolders."""
        waiting = [start]
        while waiting:
            inside = waiting.pop()
            try:
                status = Path(self._place(inside)).stat()
                if (identity := (status.st_dev, status.st_ino)) in self._seen:
                    self.found.skipped.append((inside, TWICE))
                    continue
                self._seen.add(identity)
                with os.scandir(self._place(inside)) as entries:
                    for entry in entries:
                        path = f"{inside}/{entry.name}" if inside else entry.name
                        try:
                            self._entry(path, entry, waiting)
                        except OSError as error:
                            # A link through a file, to itself, or to a place that is closed to this user
                            self.found.closed.append((path, f"cannot be read: {error.strerror}"))
            except OSError as error:
                self.found.closed.append((inside or ".", f"cannot be listed: {error.strerror}"))

    def _place(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def _entry(self, path: str, entry: "os.DirEntry[str]", waiting: list[str]) -> None:
        if entry.name.startswith("."):
            self.found.skipped.append((path, HIDDEN))
        elif entry.is_dir():
            if entry.is_symlink():
                self.links.append(path)
            elif entry.name in SYSTEM:
                self.found.skipped.append((path, "a system folder"))
            else:
                waiting.append(path)
        elif entry.is_file():
            (self.found.images if has_image_suffix(entry.name) else self.unclear).append(path)
        elif not entry.is_symlink() or Path(self._place(path)).exists():
            self.found.skipped.append((path, SPECIAL))
        elif has_image_suffix(entry.name):
            # A dangling link; the decoder reports the reason later
            self.found.images.append(path)
        else:
            self.found.closed.append((path, "a link to nothing"))


def _opened(root: str, paths: list[str], found: Listing) -> Iterator[tuple[str, OSError]]:
    """Add files to `images` or `skipped` by their content; yield those that cannot be opened."""

    def look(path: str) -> bool | OSError:
        try:
            return is_image(f"{root}/{path}")
        except OSError as error:
            return error

    # Threads, not processes, because most of the time is spent waiting for the disk
    with ThreadPoolExecutor(max_workers=16) as pool:
        for path, answer in zip(paths, pool.map(look, paths), strict=True):
            if isinstance(answer, OSError):
                yield path, answer
            elif answer:
                found.images.append(path)
            else:
                found.skipped.append((path, OTHER))
