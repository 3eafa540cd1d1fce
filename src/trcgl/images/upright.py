"""Check that a picture is displayed exactly as its pixels are stored, so that coordinates are the same in both."""

from pathlib import Path

from trcgl.images.kinds import START, format_of
from trcgl.images.tiff_tags import read_pages
from trcgl.images.unreadable import UnreadableImage


def why_not_as_stored(path: Path) -> str:
    """How the file's tags change the picture: rotated, mirrored, or stretched to square pixels; "" if not at all."""
    with path.open("rb") as file:
        kind = format_of(file.read(START))
        if kind == "DICOM":
            from trcgl.images.dicom import stated_ratio

            file.seek(0)
            return "" if stated_ratio(file) == 1 else "has pixels that are not square"
    if kind in (None, "PNM", "PAM"):
        return ""
    data = path.read_bytes()
    from trcgl.images.by_pillow import orientation

    try:
        stated = orientation(data, (kind,))
        if stated == 1 and kind == "TIFF":
            # Pillow does not open every kind of TIFF that is read
            stated = read_pages(data)[0].orientation
        return "is turned or mirrored by its orientation tag" if stated in range(2, 9) else ""
    except UnreadableImage as error:
        return f"has a {error}"
