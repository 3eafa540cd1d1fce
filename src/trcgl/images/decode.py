"""One image file of a common format -> one grey array in the file's own depth, or one line with the reason why not.

The content tells the format, not the name. Each format has a file of its own.
"""

import mmap
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from trcgl.images.by_opencv import opencv_pixels
from trcgl.images.grey import grey
from trcgl.images.grey import inverted as inverted_grey
from trcgl.images.png import SIGNATURE, decode_png
from trcgl.images.unreadable import MAX_PIXELS, UnreadableImage

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom"})
__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "UnreadableImage", "check_inside", "decode", "header_size"]
SMALLEST = 16
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNM = re.compile(rb"P[1-6]\s")
JPEG_2000 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
DICOM_TYPES = frozenset(b"AE AS AT CS DA DS DT IS LO LT OB OW PN SH SQ SS ST TM UI UL UN US UT".split())
"""Of values, written after the tag in the explicit form."""
OTHERS = (
    (rb"%PDF", "a PDF document; export its picture as PNG"),
    (rb"PK\x03\x04", "a ZIP archive; unpack it"),
    (rb"\x1f\x8b", "compressed by gzip; unpack it"),
    (rb"(?i)\s*<(!doctype )?html", "a web page, such as a server's error message; download the image again"),
    (rb"version https://git-lfs", "a Git LFS pointer; `git lfs pull` fetches the image"),
    (rb"(?s)....ftyp", "an AVIF, HEIC or film file; save it as PNG"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL file; save it as PNG"),
    (rb"8BPS", "a Photoshop file; save it as PNG"),
    (rb"NRRD|ObjectType|NDims", "an NRRD or MetaImage file; save it as PNG or DICOM"),
    (rb"v/1\x01", "an OpenEXR file; save it as 16-bit PNG or TIFF"),
)
"""Files that take the place of an image, and what to do."""


def check_inside(folder: Path, file: Path) -> None:
    """Raise UnreadableImage if `file` lies outside the image folder once links are followed."""
    if not file.resolve().is_relative_to(folder.resolve()):
        raise UnreadableImage("a link that leads out of the image folder")


def decode(path: str | Path, *, inverted: bool = False) -> np.ndarray:
    """Read an image file as grey.

    Args:
        path: PNG, JPEG, TIFF, DICOM, JPEG 2000, WebP, BMP, GIF or PNM.
        inverted: whether the label table calls the image MONOCHROME1 (air is bright), so that it must be inverted. A
            DICOM file is inverted by its own tag instead.

    Returns:
        [H, W], upright: uint8 or uint16 in the file's own depth, float32 of a TIFF with other samples and of DICOM
        (after its modality and VOI look-up).

    Raises:
        UnreadableImage: missing, empty, truncated, damaged, not an image, several pictures, without contrast, larger
            than `MAX_PIXELS`, or of a kind that would not be shown right.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UnreadableImage(f"cannot be read: {error.strerror}") from None
    if not data:
        raise UnreadableImage("empty file")
    if is_dicom(data[:132]):
        from trcgl.images.dicom import decode_dicom

        return _checked(decode_dicom(data))
    pixels = _decoder(data)(data)
    return _checked(inverted_grey(pixels) if inverted else pixels)


def is_dicom(start: bytes) -> bool:
    """Whether a file's first 132 bytes are those of DICOM, with its preamble or without.

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


def _decoder(data: bytes) -> Callable[[bytes], np.ndarray]:
    """By the first bytes."""
    if data.startswith(SIGNATURE):
        return decode_png
    if data.startswith(b"\xff\xd8"):
        from trcgl.images.jpeg import decode_jpeg

        return decode_jpeg
    if data.startswith(TIFF):
        from trcgl.images.tiff import decode_tiff

        return decode_tiff
    if (formats := _pillow_format(data)) is not None:
        from trcgl.images.by_pillow import pillow_pixels

        return lambda content: pillow_pixels(content, (formats,))
    if PNM.match(data):
        from trcgl.images.pnm import decode_pnm

        return decode_pnm
    if data.startswith(b"P7\n"):
        return lambda content: grey(opencv_pixels(content))
    for mark, what in OTHERS:
        if re.match(mark, data):
            raise UnreadableImage(what)
    raise UnreadableImage("not a PNG, JPEG, TIFF, DICOM, JPEG 2000, WebP, BMP, GIF or PNM file; save it as PNG")


def _pillow_format(data: bytes) -> str | None:
    """The less common formats, by Pillow's names."""
    if data.startswith(JPEG_2000):
        return "JPEG2000"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in (12, 40, 52, 56, 64, 108, 124):
        return "BMP"
    return None


def _checked(pixels: np.ndarray) -> np.ndarray:
    if min(pixels.shape) < SMALLEST:
        raise UnreadableImage(
            f"{pixels.shape[1]} x {pixels.shape[0]} pixels; at least {SMALLEST} x {SMALLEST} are needed"
        )
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise UnreadableImage("pixel values that are not finite")
    if pixels.min() == pixels.max():
        raise UnreadableImage("a single grey level everywhere")
    return pixels


def header_size(path: str | Path) -> tuple[int | None, int | None]:
    """Width and height of the stored picture from a file's first kilobytes; (None, None) if unknown."""
    path = Path(path)
    with path.open("rb") as handle:
        start = handle.read(132)
    if start.startswith(SIGNATURE) and len(start) >= 24:
        return int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big")
    if is_dicom(start):
        from trcgl.images.dicom import dicom_size

        try:
            return dicom_size(str(path))
        except Exception:  # pydicom raises many undocumented kinds on damaged files
            return None, None
    if start.startswith(TIFF):
        return _tiff_size(path)
    if start.startswith(b"\xff\xd8") or PNM.match(start) or _pillow_format(start) is not None:
        return _pillow_size(path)
    return None, None


def _tiff_size(path: Path) -> tuple[int | None, int | None]:
    """By our own reader of tags: Pillow does not know all kinds that are read."""
    from trcgl.images.tiff_tags import read_pages

    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            page = read_pages(data)[0]
        except UnreadableImage:
            return None, None
        return page.width, page.height


def _pillow_size(path: Path) -> tuple[int | None, int | None]:
    """Pillow reads headers lazily: no pixel is decoded."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.size
    except Exception:  # Pillow's plugins raise many undocumented kinds on damaged headers
        return None, None
