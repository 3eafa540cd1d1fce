"""The one rule for what counts as an image: a file with the suffix or the first bytes of an image format.

Images in an unsupported format and compressed image files count, too. If they were skipped as "not an image", nobody
would notice that they are missing.

A known suffix is enough, so that a folder with many images is listed without opening them. Any other file is opened,
because archives often give DICOM files names without a suffix.
"""

import re
from pathlib import Path

from trcgl.runtime.picture_suffixes import PACKED, SUFFIXES

START = 132
"""Number of first bytes that show a file's format: a DICOM preamble (128) and its mark."""
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
"""A number or a comment must follow, because a text may start with the same two characters by chance."""
BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
"""Allowed sizes of the second header. The two letters "BM" alone are not enough, because many texts start with them."""
NOT_READ = re.compile(
    rb"(?s)....ftyp(heic|heix|heim|heis|hevc|mif1|msf1|avif|avis)|\xff\x0a|\0\0\0\x0cJXL |8BPS\x00\x01"
)
"""Unsupported image formats: HEIC and AVIF (other files with a similar start are videos), JPEG XL, Photoshop."""
DICOM_TYPES = frozenset(b"AE AS AT CS DA DS DT IS LO LT OB OW PN SH SQ SS ST TM UI UL UN US UT".split())
"""DICOM value representations, which follow the tag in the explicit form."""


def is_image(path: str | Path) -> bool:
    """Whether a regular file is an image, by its suffix or else by its first bytes.

    A DICOMDIR is not an image: it only lists images.

    Raises:
        OSError: the suffix is not conclusive, and the file cannot be opened.
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
    """Whether the suffix of a file name is that of an image or of a compressed image file."""
    name = name.lower()
    if name.endswith(PACKED):
        name = name.rpartition(".")[0]
    return name.endswith(SUFFIXES)


def format_of(start: bytes) -> str | None:
    """The format of a file, from its first START bytes: Pillow's name, or PNM, PAM, DICOM; None: not an image."""
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
    """Whether a file's first START bytes are those of DICOM, with or without its preamble.

    Without the preamble, the first element must belong to group 2 (file meta information) or 8 (identification). It
    must have a known value representation or, in the implicit form, a short length.
    """
    if start[128:132] == b"DICM":
        return True
    if len(start) < 8 or start[:2] not in (b"\2\0", b"\x08\0", b"\0\2", b"\0\x08"):
        return False
    little = start[0] != 0
    length = int.from_bytes(start[4:8], "little" if little else "big")
    element = int.from_bytes(start[2:4], "little" if little else "big")
    return start[4:6] in DICOM_TYPES or (element <= 0x100 and length <= 64 and length % 2 == 0)
