"""What counts as an image: a file whose name or first bytes are those of a format that is read. One rule for all.

A suffix of such a format is enough, so that a folder of many images is listed without opening them; any other file is
opened, because archives name DICOM files by numbers, or in their own ways.
"""

import os
import re
import struct
from pathlib import Path

IMAGE_SUFFIXES = frozenset(
    f".{name}"
    for names in (
        ("png", "jpg", "jpeg", "jpe", "jfif", "tif", "tiff", "bmp", "dib", "gif", "webp"),
        ("jp2", "j2k", "j2c", "jpc", "jpx", "pnm", "pgm", "ppm", "pbm"),
        ("dcm", "dicom", "dic", "ima"),
    )
    for name in names
)
START = 132
"""Bytes of a file that tell its format: a DICOM preamble and its mark."""
MARKS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"GIF87a",
    b"GIF89a",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
)
"""Of PNG, JPEG, TIFF and BigTIFF, GIF, JPEG 2000 as a file and as a bare stream."""
BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
"""Sizes of the second header: two letters alone would make an image of many a text."""
DICOM_VALUES = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OW PN SH SL SQ SS ST TM UI UL UN US UT".split()
)
SHORT = 64
"""Bytes: more than the first elements of a DICOM file hold."""


def is_image(path: str | Path) -> bool:
    """Whether a regular file is an image, by its suffix, else by its first bytes.

    A DICOMDIR is not: it lists images and holds none.

    Raises:
        OSError: the suffix says nothing and the file cannot be opened.
    """
    path = Path(path)
    if has_image_suffix(path.name):
        return True
    if path.name.upper() == "DICOMDIR":
        return False
    with path.open("rb") as handle:
        return starts_like_an_image(handle.read(START))


def has_image_suffix(name: str) -> bool:
    """Whether a file's name alone says that it is an image."""
    # Text, because a Path object per file is most of the time of a walk over 100,000 files
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122


def starts_like_an_image(start: bytes) -> bool:
    """Whether the first START bytes of a file are those of a format that is read."""
    return (
        start.startswith(MARKS)
        or start[128:132] == b"DICM"
        or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
        or _is_bmp(start)
        or _is_pnm(start)
        or _is_bare_dicom(start)
    )


def _is_bmp(start: bytes) -> bool:
    return start[:2] == b"BM" and len(start) >= 18 and int.from_bytes(start[14:18], "little") in BMP_HEADERS


def _is_pnm(start: bytes) -> bool:
    """P1 to P6, then white space and a number or a comment; and P7 alone on its line."""
    return re.match(rb"P[1-6]\s+[0-9#]", start) is not None or start.startswith(b"P7\n")


def _is_bare_dicom(start: bytes) -> bool:
    """DICOM without preamble: its first element is of the file's head (group 2) or of the identification (group 8)."""
    if len(start) < 8:
        return False
    for order in ("<", ">"):
        group, element, length = struct.unpack(f"{order}HHI", start[:8])
        if group not in (2, 8) or element > 0x100:
            continue
        if start[4:6] in DICOM_VALUES:
            return True
        # An implicit type leaves four bytes for the length; lengths are even
        if length <= SHORT and length % 2 == 0:
            return True
    return False
