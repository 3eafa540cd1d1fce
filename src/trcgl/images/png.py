"""Decode PNG: its chunks are checked here; OpenCV decodes it (fastest for 16 bits) and refuses damaged data."""

import zlib
from dataclasses import dataclass, field

import numpy as np

from trcgl.images.by_opencv import opencv_pixels
from trcgl.images.grey import check_hidden, grey, turned
from trcgl.images.unreadable import UnreadableImage, check_frames, check_size

SIGNATURE = b"\x89PNG\r\n\x1a\n"
METADATA = frozenset({b"eXIf", b"iTXt", b"tEXt", b"zTXt"})
"""Chunks that may contain the orientation."""
ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
GREY, RGB = b"\0", b"\2"
ONE_PIXEL = (
    SIGNATURE + b"\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0:~\x9bU",
    b"\0\0\0\nIDATx\x9cc`\0\0\0\2\0\1H\xaf\xa4q\0\0\0\0IEND\xaeB`\x82",
)
"""A PNG of one black pixel: the bytes before and after its metadata."""


@dataclass
class _Chunks:
    """The chunks of a file.

    Attributes:
        spans: kind, start and end of each chunk.
        kinds: all kinds that occur.
    """

    spans: list[tuple[bytes, int, int]] = field(default_factory=list)
    kinds: set[bytes] = field(default_factory=set)


def decode_png(data: bytes) -> np.ndarray:
    """Grey [H, W] in the file's own depth."""
    if data[12:16] != b"IHDR":
        raise UnreadableImage("damaged PNG (no header)")
    check_size(int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
    depth, colour = data[24:25], data[25:26]
    chunks = _chunks(data)
    if b"acTL" in chunks.kinds:
        check_frames(int.from_bytes(_content(data, chunks, b"acTL")[:4], "big"))
        # An animation of one picture also has a still picture, which all other readers show; OpenCV may show the former
        data = _without(data, chunks, ANIMATION)
        chunks = _chunks(data)
    pixels = opencv_pixels(data)
    shown = grey(pixels)
    if b"tRNS" in chunks.kinds and colour in (GREY, RGB):
        _check_transparent(pixels, shown, _content(data, chunks, b"tRNS"), depth[0])
    return turned(shown, _orientation(data, chunks)) if chunks.kinds & METADATA else shown


def _chunks(data: bytes) -> _Chunks:
    """The chunks up to the end marker; bytes after it are ignored."""
    found = _Chunks()
    place, end = len(SIGNATURE), len(data)
    while place + 12 <= end:
        length = int.from_bytes(data[place : place + 4], "big")
        kind = data[place + 4 : place + 8]
        found.spans.append((kind, place, place + 12 + length))
        found.kinds.add(kind)
        place += 12 + length
        if kind == b"IEND" and place <= end:
            return found
    raise UnreadableImage("truncated PNG (no end marker)")


def _content(data: bytes, chunks: _Chunks, kind: bytes) -> bytes:
    """The content of the first chunk of a kind; empty if there is none."""
    for found, start, end in chunks.spans:
        if found == kind:
            return data[start + 8 : end - 4]
    return b""


def _without(data: bytes, chunks: _Chunks, kinds: frozenset[bytes]) -> bytes:
    return SIGNATURE + b"".join(data[start:end] for kind, start, end in chunks.spans if kind not in kinds)


def _check_transparent(pixels: np.ndarray, shown: np.ndarray, colour: bytes, depth: int) -> None:
    """Check tRNS for grey and RGB: one grey or colour means "transparent", but OpenCV decodes it like any other."""
    values = np.frombuffer(colour[: 2 * (len(colour) // 2)], ">u2").astype(int)
    if len(values) != (1 if pixels.ndim == 2 else 3):
        if pixels.ndim == 3 and pixels.shape[2] == 4:
            return  # OpenCV has converted it to an alpha channel
        raise UnreadableImage("damaged PNG (transparency)")
    if depth < 8:
        # Scaled to 8 bits in the same way as libpng does
        values = values * (255 // (2**depth - 1))
    if pixels.ndim == 2:
        clear = pixels == values[0]
    else:
        clear = (pixels[:, :, :3] == values[::-1]).all(axis=2)
    check_hidden(shown, ~clear)


def _orientation(data: bytes, chunks: _Chunks) -> int:
    """The orientation from EXIF or XMP. Pillow reads it from a one-pixel PNG into which the metadata are copied."""
    from trcgl.images.by_pillow import orientation

    texts = b"".join(data[start:end] for kind, start, end in chunks.spans if kind in METADATA)
    if not any(mark in texts for mark in (b"rientation", b"eXIf", b"Raw profile type")):
        return 1
    for kind, start, end in chunks.spans:
        if kind in METADATA and zlib.crc32(data[start + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise UnreadableImage("damaged PNG (metadata that may hold the orientation)")
    return orientation(ONE_PIXEL[0] + texts + ONE_PIXEL[1], ("PNG",))
