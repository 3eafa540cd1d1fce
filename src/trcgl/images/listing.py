"""The images in a folder, and everything else that lies there: whatever is not listed has a reason.

Links to files and folders are followed. A folder is listed once, even if links lead to it too: a circle of links ends,
and no image has two names.
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
"""Folders that are closed by design, at the root of a disk."""
NAMED = 10


@dataclass
class Listing:
    """What a folder holds, each part sorted by path (relative, with forward slashes).

    Attributes:
        images: files that are images, by name or content.
        skipped: path and reason of what is not an image.
        closed: path and reason of what cannot be looked into: it may be or hold images.
    """

    images: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)


def list_images(folder: str | Path) -> Listing:
    """Everything under a folder, at all depths. Hidden files and folders are skipped."""
    walk = _Walk(str(folder))
    walk.folder("")
    # Linked folders last: what they lead to may have a name of its own
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
    """A line per reason: how many have it, and the first of them by name."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for path, reason in pairs:
        by_reason[reason].append(printable(path))
    for reason, paths in sorted(by_reason.items()):
        yield f"{len(paths)} ({reason}): {', '.join(paths[:NAMED])}{', ...' if len(paths) > NAMED else ''}"


def printable(path: str | Path) -> str:
    r"""A path as text; bytes that are not UTF-8 as `\xf1`, because such a name fits into no table or terminal."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_text(path: str) -> bool:
    """Whether a name is UTF-8, as tables need it."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Walk:
    """A walk by text and directory entries: Path objects take most of the time over 100,000 files.

    Attributes:
        unclear: files whose suffix says nothing.
        links: to folders, not yet followed.
    """

    def __init__(self, root: str):
        self.root = root
        self.found = Listing()
        self.unclear: list[str] = []
        self.links: list[str] = []
        self._seen: set[tuple[int, int]] = set()

    def folder(self, start: str) -> None:
        """List a folder with its subfolders, given relative to the root."""
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
                        self._entry(f"{inside}/{entry.name}" if inside else entry.name, entry, waiting)
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
            # Its reader says why there is none
            self.found.images.append(path)
        else:
            self.found.closed.append((path, "a link to nothing"))


def _opened(root: str, paths: list[str], found: Listing) -> Iterator[tuple[str, OSError]]:
    """Sort files by their content; yields those that cannot be opened."""

    def look(path: str) -> bool | OSError:
        try:
            return is_image(f"{root}/{path}")
        except OSError as error:
            return error

    # Threads, not processes: the work is waiting for the disk
    with ThreadPoolExecutor(max_workers=16) as pool:
        for path, answer in zip(paths, pool.map(look, paths), strict=True):
            if isinstance(answer, OSError):
                yield path, answer
            elif answer:
                found.images.append(path)
            else:
                found.skipped.append((path, OTHER))
