"""The list of image files of a data set: relative path, bytes, header size.

No hashes, which would read terabytes, and no modification times.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from trcgl.images.decode import IMAGE_SUFFIXES, header_size
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import progress


def has_image_suffix(path: str) -> bool:
    """Whether a file name has the suffix of an image format."""
    return path.lower().endswith(tuple(IMAGE_SUFFIXES))


def list_images(folder: str | Path, wanted: Callable[[str], bool] = has_image_suffix) -> list[str]:
    """The image files under a folder, hidden files and folders left out: relative, with forward slashes, sorted."""
    paths: list[str] = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        # Text instead of Path objects, which take most of the time of a walk over 100,000 files
        inside = Path(root).relative_to(folder).as_posix()
        before = "" if inside == "." else f"{inside}/"
        paths.extend(before + name for name in files if not name.startswith(".") and wanted(f"{root}/{name}"))
    return sorted(paths)


def scan_images(folder: str | Path) -> pd.DataFrame:
    """List every image file under `folder`, hidden files and folders left out.

    Returns:
        One row per image file, sorted by path: path (relative, with forward slashes), bytes (0 if it cannot be opened),
        width, height (from the header; missing if it does not state them).

    Raises:
        InputError: the folder is missing or holds no image file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; set 'dataset.images' to the folder that holds the images")
    paths = list_images(folder)
    if not paths:
        raise InputError(f"{folder}: no image file inside; expected {', '.join(sorted(IMAGE_SUFFIXES))}")

    def look(path: str) -> tuple[int, int | None, int | None]:
        try:
            return ((folder / path).stat().st_size, *header_size(folder / path))
        except OSError:  # A dangling link or a file of another user: the decoder reports the reason
            return 0, None, None

    # Threads, not processes: the work is waiting for the disk
    with ThreadPoolExecutor(max_workers=16) as pool:
        looks = list(progress(pool.map(look, paths), total=len(paths), what="scan"))
    return pd.DataFrame(
        {
            "path": pd.Series(paths, dtype="str"),
            "bytes": pd.Series([size for size, _, _ in looks], dtype="int64"),
            "width": pd.Series([width for _, width, _ in looks], dtype="Int64"),
            "height": pd.Series([height for _, _, height in looks], dtype="Int64"),
        }
    )
