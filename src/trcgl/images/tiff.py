"""Decode TIFF: its tags are read here, to choose a decoder that is correct for it. If there is none, it is refused."""

import math
import re
import zlib

import numpy as np

from trcgl.images.by_opencv import opencv_pixels
from trcgl.images.by_pillow import pillow_pixels
from trcgl.images.grey import grey, inverted
from trcgl.images.jpeg import checked_pixels
from trcgl.images.tiff_tags import Page, read_pages
from trcgl.images.unreadable import UnreadableImage, check_frames, check_size

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
PHOTOMETRIC = {4: "a mask", 8: "CIE L*a*b*", 9: "ICC L*a*b*", 32803: "a camera's raw data", 34892: "raw data"}
NONE, LZW, JPEG, PACKBITS = 1, 5, 7, 32773
DEFLATE = frozenset({8, 32946})
COMPRESSIONS = frozenset({NONE, 2, 3, 4, LZW, JPEG, PACKBITS}) | DEFLATE
"""Supported compressions; 2 to 4 are CCITT."""
GREY_BITS = {1: (1, 2, 4, 8, 10, 12, 14, 16, 32), 2: (16, 32), 3: (32, 64)}
"""Supported bits of grey samples, by sample format: 1 unsigned, 2 signed, 3 floating-point."""
IMAGEJ = re.compile(rb"ImageJ=[^\n\0]*\nimages=(\d+)\n")
"""ImageJ's description of a stack. A large stack has a TIFF page for its first picture only."""
FORMATS = {1: "unsigned", 2: "signed", 3: "floating-point"}


def decode_tiff(data: bytes) -> np.ndarray:
    """Grey and upright [H, W]: uint8, uint16, or float32 for signed, floating-point and longer samples."""
    pages = read_pages(data)
    # Thumbnails do not count as further pictures
    whole = [page for page in pages if not page.reduced] or pages
    check_frames(len(whole), "pages")
    if stack := IMAGEJ.search(data):
        check_frames(int(stack[1]), "pictures")
    page = whole[0]
    if page is not pages[0] or (page.reduced and page.inner):
        raise UnreadableImage("its first page is a thumbnail; save the picture alone")
    check_size(page.width, page.height)
    _check_kind(page)
    _check_data(data, page)
    if page.bits <= 8 and page.sample_format == 1 and page.photometric != YCBCR:
        if data.startswith(b"MM\0+"):
            # Pillow misreads its head, and OpenCV does not reject damaged data of 8 bits
            raise UnreadableImage("big-endian BigTIFF of up to 8 bits; save it as plain TIFF")
        return pillow_pixels(data, ("TIFF",))
    pixels = grey(opencv_pixels(data))
    if pixels.dtype not in (np.uint8, np.uint16):
        pixels = pixels.astype(np.float32)
    # OpenCV inverts 8-bit samples itself, but not samples of other sizes
    return inverted(pixels) if page.photometric == WHITE_IS_ZERO else pixels


def _check_kind(page: Page) -> None:
    """Raise UnreadableImage unless the decoders are known to decode this kind of picture correctly."""
    if page.compression not in COMPRESSIONS:
        raise UnreadableImage(f"TIFF with compression {page.compression}; save it with LZW, deflate or none")
    # The decoders ignore the tag beside other compressions, and would show the differences
    if page.predictor != 1 and page.compression not in DEFLATE | {LZW}:
        raise UnreadableImage(
            f"TIFF with a predictor beside compression {page.compression}; save it with LZW or deflate"
        )
    if page.planar not in (1, 2):
        raise UnreadableImage(f"TIFF with planar configuration {page.planar}; it must be 1 or 2")
    if page.photometric is None:
        raise UnreadableImage("TIFF without a photometric interpretation: black or white may be zero")
    bits, samples, form = page.bits, page.samples, page.sample_format
    kind = f"TIFF of {bits}-bit {FORMATS.get(form, f'(sample format {form})')} samples"
    if page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO):
        alpha = samples == 2 and bits == 8 and form == 1 and page.planar == 1 and page.photometric == BLACK_IS_ZERO
        if samples != 1 and not alpha:
            raise UnreadableImage(f"{kind}, {samples} per grey pixel; save it with 1")
        if bits not in GREY_BITS.get(form, ()):
            raise UnreadableImage(f"{kind}; save it with 8 or 16 bits")
        return
    if page.photometric not in (RGB, PALETTE, CMYK, YCBCR):
        name = PHOTOMETRIC.get(page.photometric, f"photometric interpretation {page.photometric}")
        raise UnreadableImage(f"TIFF of {name}; save it as grey or RGB")
    if page.photometric == PALETTE:
        right = samples == 1 and bits in (1, 2, 4, 8)
    elif page.photometric == RGB:
        right = samples in (3, 4) and (bits == 8 or (bits == 16 and page.planar == 1))
    else:
        right = samples == (4 if page.photometric == CMYK else 3) and bits == 8
    if page.photometric == RGB and samples in (3, 4) and bits == 16 and form == 1 and not right:
        raise UnreadableImage("TIFF of 16-bit RGB in planes; save it with PlanarConfiguration 1, or as grey")
    if not right or form != 1:
        raise UnreadableImage(f"{kind}, {samples} per colour pixel; save it as grey or as RGB of 8 or 16 bits")


def _check_data(data: bytes, page: Page) -> None:
    """Raise UnreadableImage if data are missing or damaged, because some decoders show such parts as black."""
    parts = page.parts
    across = math.ceil(page.width / page.part_width) * math.ceil(page.height / page.part_height)
    if len(parts) < across * (page.samples if page.planar == 2 else 1):
        raise UnreadableImage("truncated TIFF (strips are missing)")
    if any(start < 8 or length <= 0 or start + length > len(data) for start, length in parts):
        raise UnreadableImage("truncated TIFF (strips lie outside the file)")
    row = math.ceil(page.part_width * page.bits * (1 if page.planar == 2 else page.samples) / 8)
    if page.compression == NONE and page.photometric != YCBCR:
        full = math.ceil(page.width * page.bits * (1 if page.planar == 2 else page.samples) / 8) * page.height
        if sum(length for _, length in parts) < full * (page.samples if page.planar == 2 else 1):
            raise UnreadableImage("truncated TIFF (strips are too short)")
    elif page.compression in DEFLATE:
        for number, (start, length) in enumerate(parts):
            rows = page.part_height
            if not page.tiled:
                rows = min(rows, page.height - number % across * page.part_height)
            _check_deflate(data[start : start + length], row * rows, row * page.part_height)
    elif page.compression == JPEG:
        for start, length in parts:
            part = data[start : start + length]
            checked_pixels(page.jpeg_tables[:-2] + part[2:] if page.jpeg_tables else part)


def _check_deflate(part: bytes, least: int, most: int) -> None:
    """Raise UnreadableImage unless a strip or tile has all its bytes and the checksum after them is correct."""
    inflater = zlib.decompressobj()
    try:
        # The limit is a little larger than the largest part, because the end is only detected after the last byte
        size = len(inflater.decompress(part, most + 64))
    except zlib.error as error:
        raise UnreadableImage(f"damaged TIFF ({error})") from None
    if size < least or not inflater.eof:
        raise UnreadableImage("damaged TIFF (a strip is incomplete)")
