"""Decode an image file of a common format to a grey array in the file's own bit depth, or give a short reason why not.

The format is detected from the content, not from the name. Each format has its own module.
"""

import mmap
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from trcgl.images.grey import inverted as inverted_grey
from trcgl.images.kinds import START, format_of
from trcgl.images.png import decode_png
from trcgl.images.unreadable import MAX_PIXELS, UnreadableImage
from trcgl.runtime.unexpanded import why_missing

__all__ = ["MAX_PIXELS", "UnreadableImage", "decode", "header_size"]
SMALLEST = 16
BY_PILLOW = ("JPEG2000", "WEBP", "GIF", "BMP")
OTHERS = (
    (rb"%PDF", "a PDF document; export its picture as PNG"),
    (rb"PK\x03\x04", "a ZIP archive; unpack it"),
    (rb"\x1f\x8b", "compressed by gzip; unpack it"),
    (rb"BZh|\xfd7zXZ\0|\x28\xb5\x2f\xfd", "compressed by bzip2, xz or zstd; unpack it"),
    (rb"(?i)\s*<(!doctype )?html", "a web page, such as a server's error message; download the image again"),
    (rb"version https://git-lfs", "a Git LFS pointer; `git lfs pull` fetches the image"),
    (rb"(?s)....ftyp", "an AVIF, HEIC or film file; save it as PNG"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL file; save it as PNG"),
    (rb"8BPS", "a Photoshop file; save it as PNG"),
    (rb"NRRD|ObjectType|NDims", "an NRRD or MetaImage file; save it as PNG or DICOM"),
    (rb"v/1\x01", "an OpenEXR file; save it as 16-bit PNG or TIFF"),
)
"""Start of files that are not readable images: (pattern, what the file is and what the user can do)."""


def decode(path: str | Path, *, inverted: bool = False) -> np.ndarray:
    """Read an image file as grey.

    Args:
        path: PNG, JPEG, TIFF, DICOM, JPEG 2000, WebP, BMP, GIF or PNM.
        inverted: whether the label table says that the image is MONOCHROME1 (air is bright), so that it must be
            inverted. For a DICOM file, its own tag decides instead.

    Returns:
        [H, W], upright: uint8 or uint16 in the file's own bit depth; float32 for DICOM (after modality and VOI look-up)
        and for formats with other samples, such as some TIFFs.

    Raises:
        UnreadableImage: the file is missing, empty, truncated, damaged or not an image; or the image has several
            pictures, no contrast, more than `MAX_PIXELS` pixels, or a kind that would not be decoded correctly.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        hint = why_missing(path) if isinstance(error, FileNotFoundError) else ""
        raise UnreadableImage(f"cannot be read: {error.strerror}{hint}") from None
    if not data:
        raise UnreadableImage("empty file")
    kind = format_of(data[:START])
    if kind == "DICOM":
        from trcgl.images.dicom import decode_dicom

        return _checked(decode_dicom(data))
    pixels = _decoder(data, kind)(data)
    return _checked(inverted_grey(pixels) if inverted else pixels)


def _decoder(data: bytes, kind: str | None) -> Callable[[bytes], np.ndarray]:
    """The decoder for the format `kind`, see kinds.py."""
    if kind == "PNG":
        return decode_png
    if kind == "JPEG":
        from trcgl.images.jpeg import decode_jpeg

        return decode_jpeg
    if kind == "TIFF":
        from trcgl.images.tiff import decode_tiff

        return decode_tiff
    if kind == "PNM":
        from trcgl.images.pnm import decode_pnm

        return decode_pnm
    if kind == "PAM":
        from trcgl.images.pnm import decode_pam

        return decode_pam
    if kind in BY_PILLOW:
        from trcgl.images.by_pillow import pillow_pixels

        return lambda content: pillow_pixels(content, (kind,))
    for mark, what in OTHERS:
        if re.match(mark, data):
            raise UnreadableImage(what)
    raise UnreadableImage("not a PNG, JPEG, TIFF, DICOM, JPEG 2000, WebP, BMP, GIF or PNM file; save it as PNG")


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
    """Width and height of the stored picture from the file's header; (None, None) if unknown."""
    path = Path(path)
    with path.open("rb") as handle:
        start = handle.read(START)
    kind = format_of(start)
    if kind == "PNG" and len(start) >= 24:
        return int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big")
    if kind == "DICOM":
        from trcgl.images.dicom import dicom_size

        try:
            return dicom_size(str(path))
        except Exception:  # pydicom raises many undocumented kinds on damaged files
            return None, None
    if kind == "TIFF":
        return _tiff_size(path)
    if kind in ("JPEG", "PNM", *BY_PILLOW):
        return _pillow_size(path)
    return None, None


def _tiff_size(path: Path) -> tuple[int | None, int | None]:
    """The size from our own tag reader, because Pillow does not support all TIFFs that are decoded here."""
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
