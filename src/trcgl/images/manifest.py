"""The list of a data set's image files: relative path, size in bytes, and width and height from the header.

It has no hashes, because computing them would read terabytes, and no modification times.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pandas as pd

from trcgl.images.decode import UnreadableImage, header_size
from trcgl.images.listing import Listing, counted, is_text, list_images
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger, progress
from trcgl.runtime.unexpanded import why_missing

log = get_logger("scan")
NOT_TEXT = "name not in UTF-8; rename it (`convmv -f latin1 -t utf8 --notest`)"


def named_images(folder: str | Path) -> Listing:
    """`list_images`, but images whose name is not valid UTF-8 are moved to `closed`."""
    listing = list_images(folder)
    closed = [(path, NOT_TEXT) for path in listing.images if not is_text(path)]
    if closed:
        listing.images = [path for path in listing.images if is_text(path)]
        listing.closed = sorted(listing.closed + closed)
    return listing


def check_inside(path: str) -> None:
    """Raise UnreadableImage if the text of a path, relative to the image folder, leads out of this folder.

    Links in the folder are allowed: whoever made them could also read the files that they lead to.
    """
    if ".." in (parts := PurePosixPath(path).parts) or parts[:1] == ("/",):
        raise UnreadableImage("a path that leads out of the image folder")


def no_image(listing: Listing) -> str:
    """The reason why a folder has no images, for a message."""
    held = [*counted(listing.closed), *counted(listing.skipped)]
    return f"it has {'; '.join(held)}" if held else "it has no file"


def no_folder(folder: Path) -> str:
    """The reason why a path is not an image folder, for a message."""
    return "is not a folder" if folder.exists() else f"no such folder{why_missing(folder)}"


def scan_images(folder: str | Path) -> pd.DataFrame:
    """List every image file under `folder`. Everything that is left out is logged.

    Returns:
        One row per image file, sorted by path: path (relative, with forward slashes), bytes (0 if it cannot be opened),
        width, height (from the header; missing if it does not state them).

    Raises:
        InputError: the folder is missing or holds no image file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: {no_folder(folder)}; set 'dataset.images' to the folder that holds the images")
    listing = named_images(folder)
    for line in counted(listing.closed):
        log.warning("%s: left out %s", folder, line)
    for line in counted(listing.skipped):
        log.info("%s: skipped %s", folder, line)
    paths = listing.images
    if not paths:
        raise InputError(f"{folder}: no image inside; {no_image(listing)}")

    def look(path: str) -> tuple[int, int | None, int | None]:
        try:
            return ((folder / path).stat().st_size, *header_size(folder / path))
        except OSError:  # A dangling link or a file of another user: the decoder reports the reason
            return 0, None, None

    # Threads, not processes, because most of the time is spent waiting for the disk
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
