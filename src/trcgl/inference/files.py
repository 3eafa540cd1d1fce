"""From images, folders and patterns to a list of files in a fixed order, each once."""

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from trcgl.images.manifest import has_image_suffix, list_images
from trcgl.runtime.errors import InputError


def find_images(arguments: Iterable[str | Path]) -> list[Path]:
    """The image files that the arguments name.

    A file is taken whatever its name, even if it is missing: it is then reported as unreadable, and the others go on.
    A folder gives its images at all depths, sorted by path; DICOM files there need no suffix. A pattern (`*`, `?`,
    `[...]`, `**` for any depth) gives its matches, sorted.

    Returns:
        Paths as given (a folder's with the folder before them), in the order of the arguments. A file that is named
        twice is listed once, even if its path is written in two ways.

    Raises:
        InputError: no argument is given, a folder has no image, or a pattern matches nothing.
    """
    found: dict[str, Path] = {}
    for argument in arguments:
        for path in _files(str(argument)):
            found.setdefault(absolute(path), path)
    if not found:
        raise InputError("no image is given; give files, folders or patterns such as 'scans/*.dcm'")
    return list(found.values())


def absolute(path: Path) -> str:
    """The path from the root, without `..`. Links are not followed, because the user gave their names."""
    return os.path.abspath(path)  # noqa: PTH100 (pathlib removes `..` only where it also follows links)


def _files(argument: str) -> list[Path]:
    path = Path(argument)
    if path.is_dir():
        return _in_folder(path)
    # A file's own name may have brackets
    if path.exists() or not glob.has_magic(argument):
        return [path]
    matches = [Path(match) for match in sorted(glob.glob(argument, recursive=True))]  # noqa: PTH207 (takes absolute ones)
    files = [match for match in matches if not match.is_dir()]
    # `scans/**` also matches the folders of its files, which are not walked again
    if not files:
        files = [file for match in matches for file in _in_folder(match)]
    if not files:
        raise InputError(f"{argument}: no file matches this pattern")
    return files


def _in_folder(folder: Path) -> list[Path]:
    names = list_images(folder, _is_image)
    if not names:
        raise InputError(f"{folder}: no image inside; PNG, JPEG, TIFF and DICOM files are read")
    return [folder / name for name in names]


def _is_image(path: str) -> bool:
    """By its suffix; archives name DICOM files by numbers, so a file whose suffix is missing or a number is opened."""
    if has_image_suffix(path):
        return True
    file = Path(path)
    if (file.suffix and not file.suffix[1:].isdigit()) or file.name == "DICOMDIR":
        return False
    try:
        with file.open("rb") as handle:
            return handle.read(132)[128:] == b"DICM"
    except OSError:
        return False
