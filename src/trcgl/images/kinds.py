"""What counts as an image: a file whose name or first bytes are those of a picture's format. One rule for all.

So does a picture of a format that is not read, or a packed one: passed over as no image, it would be missed by nobody.

A suffix of such a format is enough, so that a folder of many images is listed without opening them; any other file is
opened, because archives name DICOM files by numbers, or in their own ways.
"""

import re
from pathlib import Path

from trcgl.runtime.picture_suffixes import PACKED, SUFFIXES

START = 132
"""Bytes of a file that tell its format: a DICOM preamble and its mark."""
MARKS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",
    b"P7\n": "PAM",
}
PNM = re.compile(rb"P[1-6]\s+[0-9#]")
"""A number or a comment after it: no text that begins so by chance."""
BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
"""Sizes of the second header: two letters alone would make an image of many a text."""
NOT_READ = re.compile(
    rb"(?s)....ftyp(heic|heix|heim|heis|hevc|mif1|msf1|avif|avis)|\xff\x0a|\0\0\0\x0cJXL |8BPS\x00\x01"
)
"""HEIC and AVIF (other files that begin alike are films), JPEG XL, Photoshop."""
DICOM_TYPES = frozenset(b"AE AS AT CS DA DS DT IS LO LT OB OW PN SH SQ SS ST TM UI UL UN US UT".split())
"""Of values, written after the tag in the explicit form."""


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
        start = handle.read(START)
    return format_of(start) is not None or NOT_READ.match(start) is not None


def has_image_suffix(name: str) -> bool:
    """Whether a file's name alone says that it is an image, or a packed one."""
    name = name.lower()
    if name.endswith(PACKED):
        name = name.rpartition(".")[0]
    return name.endswith(SUFFIXES)


def format_of(start: bytes) -> str | None:
    """The format that a file's first START bytes are of, by Pillow's name or PNM, PAM, DICOM; None: not an image."""
    if is_dicom(start):
        return "DICOM"
    for mark, name in MARKS.items():
        if start.startswith(mark):
            return name
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in BMP_HEADERS:
        return "BMP"
    return "PNM" if PNM.match(start) else None


def is_dicom(start: bytes) -> bool:
    """Whether a file's first START bytes are those of DICOM, with its preamble or without.

    Without, the first element is one of the head (group 2) or of the identification (group 8), with a type of value, or
    (in the implicit form) with a short length.
    """
    if start[128:132] == b"DICM":
        return True
    if len(start) < 8 or start[:2] not in (b"\2\0", b"\x08\0", b"\0\2", b"\0\x08"):
        return False
    little = start[0] != 0
    length = int.from_bytes(start[4:8], "little" if little else "big")
    element = int.from_bytes(start[2:4], "little" if little else "big")
    return start[4:6] in DICOM_TYPES or (element <= 0x100 and length <= 64 and length % 2 == 0)
