"""What lies in an image folder besides images, and names that no table can hold."""

import os
from pathlib import Path

from tests.input_cases.case import SCAN, Case, Spoil


def each_file(change: "Spoil") -> Spoil:
    """Change every file of the image folder, so that no image is left."""

    def spoil(folder: Path) -> None:
        for path in sorted((folder / "images").iterdir()):
            change(path)

    return spoil


def _hide(path: Path) -> None:
    path.rename(path.with_name(f".{path.name}"))


def _latin(path: Path) -> None:
    path.rename(os.fsdecode(os.fsencode(path.parent) + b"/ni\xf1o" + os.fsencode(path.name)))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _round(path: Path) -> None:
    path.unlink()
    path.symlink_to(".")


def _to_nothing(path: Path) -> None:
    path.unlink()
    path.with_suffix("").symlink_to("nothing")


def _text(path: Path) -> None:
    path.write_text("a report")
    path.rename(path.with_suffix(".txt"))


PLACES = tuple(
    Case("Image folder", what, SCAN, each_file(change), f"images: no image inside; it {seen}")
    for what, change, seen in (
        ("only hidden files", _hide, "has 12 (hidden): .00000000_000.png, ..."),
        ("only reports", _text, "has 12 (not an image): 00000000_000.txt, ..."),
        (
            "only names that are not UTF-8",
            _latin,
            r"has 12 (name not in UTF-8; rename it (`convmv -f latin1 -t utf8 --notest`)): ni\xf1o00000000_000.png, ...",
        ),
        ("only empty folders with the names of images", _folder, "has no file"),
        ("only pipes", _pipe, "has 12 (a pipe, socket or device): 00000000_000.png, ..."),
        (
            "only a circle of links",
            _round,
            "has 12 (a folder that is listed under another name): 00000000_000.png, ...",
        ),
        ("only links to nothing", _to_nothing, "has 12 (a link to nothing): 00000000_000, ..."),
    )
)
