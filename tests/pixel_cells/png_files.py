"""PNG files of every colour type and depth, written by hand, interlaced ones too."""

import struct
import zlib
from collections.abc import Iterator
from itertools import product

import numpy as np

from tests.pixel_cells.cell import ORIENTATIONS, Cell, colours, exif, film, luma, stored_as, xmp_orientations

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
WHOLE = ((0, 0, 1, 1),)
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Left, top, and steps to the right and down of each pass."""


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    pixels: np.ndarray, colour: int, depth: int, *, interlaced: bool = False, before: bytes = b"", after: bytes = b""
) -> bytes:
    """pixels: [H, W] or [H, W, samples]; before, after: chunks around the data."""
    height, width = pixels.shape[:2]
    rows = b""
    for left, top, right, down in ADAM7 if interlaced else WHOLE:
        part = pixels[top::down, left::right]
        if part.size:
            rows += b"".join(b"\0" + _packed(row.reshape(-1), depth) for row in part)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    return SIGNATURE + header + before + chunk(b"IDAT", zlib.compress(rows)) + after + chunk(b"IEND")


def _packed(row: np.ndarray, depth: int) -> bytes:
    if depth == 16:
        return row.astype(">u2").tobytes()
    if depth == 8:
        return row.astype(np.uint8).tobytes()
    bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8).ravel()).tobytes()


def _kinds() -> Iterator[tuple[str, np.ndarray, int, int, bytes, np.ndarray, float]]:
    """Name, stored pixels, colour type, depth, chunks before the data, greys, tolerance."""
    for depth in (1, 2, 4, 8, 16):
        grey = film(2**depth - 1)
        yield f"grey {depth}", grey, GREY, depth, b"", grey, 0
    for depth in (8, 16):
        rgb, grey, near = colours(2**depth - 1), film(2**depth - 1), depth / 8
        top = np.full_like(grey, 2**depth - 1)
        yield f"RGB {depth}", rgb, RGB, depth, b"", luma(rgb), near
        yield f"grey and alpha {depth}", np.dstack([grey, top]), GREY_ALPHA, depth, b"", grey, 0
        yield f"RGB and alpha {depth}", np.dstack([rgb, top // 2]), RGB_ALPHA, depth, b"", luma(rgb), near
        # Black in places, and black is transparent
        clear = chunk(b"tRNS", b"\0\0")
        yield f"grey {depth}, black transparent", grey, GREY, depth, clear, grey, 0
        unused = chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))
        yield f"RGB {depth}, an unused colour transparent", rgb, RGB, depth, unused, luma(rgb), near
    for depth in (1, 2, 4, 8):
        numbers = film(2**depth - 1)
        palette = np.random.default_rng(depth).integers(0, 256, (2**depth, 3))
        yield f"palette {depth}", numbers, PALETTE, depth, _palette(palette), luma(palette[numbers]), 1
        opaque = _palette(palette) + chunk(b"tRNS", b"\xff" * 2**depth)
        yield f"palette {depth}, opaque", numbers, PALETTE, depth, opaque, luma(palette[numbers]), 1


def _palette(entries: np.ndarray) -> bytes:
    return chunk(b"PLTE", entries.astype(np.uint8).tobytes())


XMP = b"XML:com.adobe.xmp\0\0\0\0\0"


def cells() -> Iterator[Cell]:
    for kind, interlaced in product(_kinds(), (False, True)):
        yield from _of_kind(*kind, interlaced=interlaced)


def _of_kind(
    name: str,
    pixels: np.ndarray,
    colour: int,
    depth: int,
    before: bytes,
    shown: np.ndarray,
    within: float,
    *,
    interlaced: bool,
) -> Iterator[Cell]:
    kind = f"PNG {name}{', interlaced' if interlaced else ''}"
    scaled = depth < 8 and colour == GREY

    def cell(name: str, orientation: int, before: bytes, after: bytes = b"") -> Cell:
        stored = stored_as(pixels, orientation)
        content = png(stored, colour, depth, interlaced=interlaced, before=before, after=after)
        return Cell(name, content, shown, within, scaled)

    yield cell(kind, 1, before)
    for orientation in ORIENTATIONS:
        turn = chunk(b"eXIf", exif(orientation))
        yield cell(f"{kind}, EXIF {orientation}", orientation, before + turn)
        if depth == 8:
            yield cell(f"{kind}, EXIF {orientation} after the data", orientation, before, turn)
            for how, xmp in xmp_orientations(orientation):
                yield cell(f"{kind}, {how}", orientation, before + chunk(b"iTXt", XMP + xmp))
    for number in (0, 9):
        yield cell(f"{kind}, EXIF {number} (unknown)", 1, before + chunk(b"eXIf", exif(number)))
    harmless = {
        "gamma": chunk(b"gAMA", struct.pack(">I", 100000)),
        "spoilt profile": chunk(b"iCCP", b"abc\0\0junk"),
        "bits": chunk(b"sBIT", b"\x04" * {GREY: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}.get(colour, 3)),
        "an animation of one picture": chunk(b"acTL", struct.pack(">II", 1, 0)),
    }
    for what, content in harmless.items():
        yield cell(f"{kind}, {what}", 1, content + before)
