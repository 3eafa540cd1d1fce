"""Read those tags of a TIFF's pages that affect decoding. BigTIFF is supported, too."""

import mmap
import struct
from dataclasses import dataclass

from trcgl.images.unreadable import UnreadableImage

NUMBERS = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}
"""Codes of `struct` by type: BYTE, SHORT, LONG, UNDEFINED, IFD, LONG8, IFD8."""
SINGLE_NUMBERS = frozenset({3, 4, 16})
"""Allowed types of a tag with one value; all readers interpret them in the same way."""
MOST_PAGES, MOST_VALUES = 1000, 10_000_000


@dataclass(frozen=True)
class Page:
    """One page of a TIFF.

    Attributes:
        reduced: whether the page is a thumbnail of another page.
        inner: whether the page contains further pages, as in raw files of cameras.
        orientation: 1: upright; 2 to 8: turned or mirrored; other values are ignored.
        bits: bits per sample.
        samples: samples per pixel.
        predictor: 1: none; others: the samples are stored as differences from their neighbours.
        photometric: None if the tag is missing.
        planar: 1: the samples of a pixel are stored together; 2: in separate planes.
        part_width, part_height: size of a tile, or of a strip over the whole width.
        parts: offset and length of every strip or tile.
        jpeg_tables: the tables that all JPEG parts share; empty if there are none.
    """

    reduced: bool
    inner: bool
    width: int
    height: int
    orientation: int
    bits: int
    samples: int
    sample_format: int
    compression: int
    predictor: int
    photometric: int | None
    planar: int
    tiled: bool
    part_width: int
    part_height: int
    parts: list[tuple[int, int]]
    jpeg_tables: bytes


def read_pages(data: bytes | mmap.mmap) -> list[Page]:
    """Read all pages; there is at least one.

    Raises:
        UnreadableImage: a tag or page is outside the file; a tag occurs twice; or a tag has a number or type of values
            that readers interpret in different ways.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    reader = _Reader(data, order, big)
    place = reader.number("Q" if big else "I", 8 if big else 4)
    pages: list[Page] = []
    seen: set[int] = set()
    while place:
        if place in seen or len(seen) > MOST_PAGES:
            raise UnreadableImage("damaged TIFF (its pages lead in a circle)")
        seen.add(place)
        tags, place = reader.directory(place)
        pages.append(_page(tags))
    if not pages:
        raise UnreadableImage("TIFF without a page")
    return pages


class _Reader:
    """Reads numbers in the file's byte order."""

    def __init__(self, data: bytes | mmap.mmap, order: str, big: bool):
        self.data, self.order, self.big = data, order, big

    def number(self, code: str, place: int) -> int:
        return self.numbers(code, 1, place)[0]

    def numbers(self, code: str, count: int, place: int) -> tuple[int, ...]:
        if count > MOST_VALUES:
            raise UnreadableImage("damaged TIFF (a tag has too many values)")
        try:
            return struct.unpack_from(f"{self.order}{count}{code}", self.data, place)
        except (struct.error, OverflowError):
            raise UnreadableImage("truncated TIFF (tags lie outside the file)") from None

    def directory(self, place: int) -> tuple[dict[int, tuple[int, ...]], int]:
        """The tags in KNOWN, as whole numbers, and the offset of the next directory (0: none)."""
        head, entry, inline, length = (8, 20, 8, "Q") if self.big else (2, 12, 4, "I")
        count = self.number("Q" if self.big else "H", place)
        if count > len(self.data) // entry:
            raise UnreadableImage("damaged TIFF (too many tags)")
        tags: dict[int, tuple[int, ...]] = {}
        for k in range(count):
            at = place + head + entry * k
            tag, kind = self.numbers("H", 2, at)
            # Other tags, such as an ICC profile, do not affect the pixels
            if tag not in KNOWN:
                continue
            values = self.number(length, at + 4)
            _check_tag(tag, kind, values, again=tag in tags)
            value = at + 4 + struct.calcsize(f"<{length}")
            if struct.calcsize(f"<{NUMBERS[kind]}") * values > inline:
                value = self.number(length, value)
            tags[tag] = self.numbers(NUMBERS[kind], values, value)
        return tags, self.number(length, place + head + entry * count)


SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 254, 255, 256, 257, 258, 259, 262, 266
OFFSETS, ORIENTATION, SAMPLES, ROWS, LENGTHS, PLANAR, PREDICTOR = 273, 274, 277, 278, 279, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_LENGTHS = 322, 323, 324, 325
INNER, SAMPLE_FORMAT, JPEG_TABLES = 330, 339, 347
SINGLE = {
    SUBFILE: "NewSubfileType", OLD_SUBFILE: "SubfileType", WIDTH: "ImageWidth", HEIGHT: "ImageLength",
    COMPRESSION: "Compression", PHOTOMETRIC: "PhotometricInterpretation", FILL_ORDER: "FillOrder",
    ORIENTATION: "Orientation", SAMPLES: "SamplesPerPixel", ROWS: "RowsPerStrip", PLANAR: "PlanarConfiguration",
    PREDICTOR: "Predictor", TILE_WIDTH: "TileWidth", TILE_HEIGHT: "TileLength",
}  # fmt: skip
"""Tags that have one value."""
SEVERAL = {
    BITS: "BitsPerSample", OFFSETS: "StripOffsets", LENGTHS: "StripByteCounts", TILE_OFFSETS: "TileOffsets",
    TILE_LENGTHS: "TileByteCounts", INNER: "SubIFDs", SAMPLE_FORMAT: "SampleFormat", JPEG_TABLES: "JPEGTables",
}  # fmt: skip
KNOWN = SINGLE | SEVERAL


def _check_tag(tag: int, kind: int, values: int, again: bool) -> None:
    """Raise UnreadableImage for a tag that readers interpret differently: as missing, or by one of its values."""
    if again:
        raise UnreadableImage(f"damaged TIFF (two tags {KNOWN[tag]})")
    if tag in SINGLE and values != 1:
        raise UnreadableImage(f"damaged TIFF ({values} values of its tag {KNOWN[tag]}, which has one)")
    if kind not in (SINGLE_NUMBERS if tag in SINGLE else NUMBERS):
        raise UnreadableImage(f"damaged TIFF (its tag {KNOWN[tag]} is of type {kind}; whole numbers are right)")


def _page(tags: dict[int, tuple[int, ...]]) -> Page:
    def one(tag: int, default: int = 0) -> int:
        return tags[tag][0] if tags.get(tag) else default

    width, height, samples = one(WIDTH), one(HEIGHT), one(SAMPLES, 1)
    if not width or not height or not samples:
        raise UnreadableImage("damaged TIFF (no size)")
    bits, formats = set(tags.get(BITS, (1,))[:samples]), set(tags.get(SAMPLE_FORMAT, (1,))[:samples])
    if len(bits) != 1 or len(formats) != 1:
        raise UnreadableImage("TIFF whose samples are of several kinds")
    tiled = TILE_OFFSETS in tags
    offsets, lengths = (
        tags.get(TILE_OFFSETS if tiled else OFFSETS, ()),
        tags.get(TILE_LENGTHS if tiled else LENGTHS, ()),
    )
    if len(offsets) != len(lengths):
        raise UnreadableImage("damaged TIFF (strips without a place or length)")
    form = formats.pop()
    return Page(
        reduced=bool(one(SUBFILE) & 1) or one(OLD_SUBFILE) == 2,
        inner=INNER in tags,
        width=width,
        height=height,
        orientation=one(ORIENTATION, 1),
        bits=bits.pop(),
        samples=samples,
        # 4 means undefined; readers treat it as unsigned
        sample_format=1 if form == 4 else form,
        compression=one(COMPRESSION, 1),
        predictor=one(PREDICTOR, 1),
        photometric=tags[PHOTOMETRIC][0] if tags.get(PHOTOMETRIC) else None,
        planar=one(PLANAR, 1),
        tiled=tiled,
        part_width=(one(TILE_WIDTH) if tiled else 0) or width,
        part_height=one(TILE_HEIGHT) or height if tiled else min(one(ROWS) or height, height),
        parts=list(zip(offsets, lengths, strict=True)),
        jpeg_tables=bytes(tags.get(JPEG_TABLES, ())),
    )
