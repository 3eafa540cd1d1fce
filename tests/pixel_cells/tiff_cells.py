"""TIFF files of every sample kind, byte order, compression, layout and orientation."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from tests.pixel_cells.cell import ORIENTATIONS, Cell, colours, film, luma, stored_as
from tests.pixel_cells.tiff_files import SHORT, Tiff, tiff

UNSIGNED = (1, 2, 4, 8, 10, 12, 14, 16, 32)
OTHERS = ((np.int16, 2), (np.int32, 2), (np.float32, 3), (np.float64, 3))
COMPRESSIONS = {1: "none", 5: "LZW", 8: "deflate", 32773: "PackBits"}


def _greys() -> Iterator[tuple[str, np.ndarray, Tiff]]:
    """Name, pixels as they are stored in the order of greys, manner."""
    for bits in UNSIGNED:
        yield f"unsigned {bits}", film(2**bits - 1), Tiff(bits=bits)
    for kind, form in OTHERS:
        pixels = film(60000).astype(np.float64)
        pixels = (pixels - pixels.max() / 2).astype(kind)
        yield np.dtype(kind).name, pixels, Tiff(sample_format=form)


def cells() -> Iterator[Cell]:
    for (name, pixels, how), white, order, (compression, called) in product(
        _greys(), (False, True), "<>", COMPRESSIONS.items()
    ):
        top = 2 ** (how.bits or 0) - 1 if how.bits else 0
        flipped = (top - pixels if how.bits else -1 - pixels if how.sample_format == 2 else -pixels).astype(
            pixels.dtype
        )
        manner = {
            "sample_format": how.sample_format, "bits": how.bits, "order": order, "compression": compression,
            "photometric": 0 if white else 1,
        }  # fmt: skip
        stored = flipped if white else pixels
        title = f"TIFF {name}, {'white' if white else 'black'} is zero, {order}, {called}"
        whole = how.bits not in (1, 2, 4, 10, 12, 14)
        layouts: dict[str, dict[str, Any]] = {"": {}, ", strips": {"rows": 7}}
        if whole:
            layouts[", tiles"] = {"tile": 16}
            if compression in (5, 8) and how.sample_format != 3:
                layouts[", predictor"] = {"predictor": 2}
        for layout, more in layouts.items():
            yield Cell(title + layout, tiff(stored, Tiff(**manner, **more)), pixels.astype(np.float64), 0, True)
        if compression == 1 and whole:
            for orientation in ORIENTATIONS:
                tags = {274: (SHORT, [orientation])}
                content = tiff(stored_as(stored, orientation), Tiff(**manner, tags=tags))
                yield Cell(f"{title}, orientation {orientation}", content, pixels.astype(np.float64), 0, True)
    thumbnail = (film(255)[::4, ::4], Tiff(tags={254: (SHORT, [1])}))
    yield Cell("TIFF with a thumbnail behind", tiff(film(65535), Tiff(), thumbnail), film(65535))
    yield from _coloured()


def _coloured() -> Iterator[Cell]:
    for order, (compression, called), orientation in product("<>", COMPRESSIONS.items(), (1, 6)):
        yield from _coloured_as(order, compression, called, orientation)


def _coloured_as(order: str, compression: int, called: str, orientation: int) -> Iterator[Cell]:
    turn = {274: (SHORT, [orientation])}

    def cell(
        name: str,
        pixels: np.ndarray,
        shown: np.ndarray,
        photometric: int,
        *,
        planar: int = 1,
        bits: int | None = None,
        tags: dict[int, tuple[int, list[int]]] | None = None,
    ) -> Cell:
        manner = Tiff(
            photometric, order, compression, planar=planar, bits=bits, tags=turn | (tags or {})
        )  # fmt: skip
        content = tiff(stored_as(pixels, orientation), manner)
        title = f"TIFF {name}, {order}, {called}, orientation {orientation}"
        return Cell(title, content, shown, 2 if shown.max() > 255 else 1)

    for bits in (8, 16):
        rgb = colours(2**bits - 1)
        alpha = np.dstack([rgb, np.full(rgb.shape[:2], 2**bits - 1, rgb.dtype)])
        yield cell(f"RGB {bits}", rgb, luma(rgb), 2)
        yield cell(f"RGB and alpha {bits}", alpha, luma(rgb), 2, tags={338: (SHORT, [2])})
    rgb = colours(255)
    yield cell("RGB 8 in planes", rgb, luma(rgb), 2, planar=2)
    grey = film(255)
    yield cell("grey and alpha", np.dstack([grey, np.full_like(grey, 255)]), grey, 1, tags={338: (SHORT, [2])})
    ink = np.dstack([255 - rgb, np.zeros_like(grey)])
    yield cell("CMYK", ink, luma(rgb), 5)
    for bits in (1, 2, 4, 8):
        palette = np.random.default_rng(bits).integers(0, 256, (3, 2**bits))
        numbers = film(2**bits - 1)
        # 65535 is full brightness, but some programs write 255
        for scale in (257, 1):
            tags = {320: (SHORT, [int(value) * scale for value in palette.ravel()])}
            name = f"palette {bits} of values up to {255 * scale}"
            yield cell(name, numbers, luma(palette.T[numbers]), 3, bits=bits, tags=tags)
