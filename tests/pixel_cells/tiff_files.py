"""TIFF files of every kind, written by hand: neither Pillow nor OpenCV writes most of them."""

import struct
import zlib
from dataclasses import dataclass, field

import numpy as np

SHORT, LONG = 3, 4


@dataclass(frozen=True)
class Tiff:
    """How to write a picture.

    Attributes:
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr.
        order: `<` or `>`.
        compression: 1 none, 5 LZW, 8 deflate, 32773 PackBits.
        predictor: 1 none, 2 differences along a row.
        planar: 1 samples beside each other, 2 a plane per sample.
        sample_format: 1 unsigned, 2 signed, 3 floating-point.
        bits: of a sample; of the pixels' type, or fewer, which are packed.
        rows: of a strip; all by default.
        tile: side of a tile, instead of strips.
        tags: more tags: number -> (type, values).
    """

    photometric: int = 1
    order: str = "<"
    compression: int = 1
    predictor: int = 1
    planar: int = 1
    sample_format: int = 1
    bits: int | None = None
    rows: int | None = None
    tile: int | None = None
    tags: dict[int, tuple[int, list[int]]] = field(default_factory=dict)


def tiff(pixels: np.ndarray, how: Tiff = Tiff(), *more: tuple[np.ndarray, Tiff]) -> bytes:
    """A file of one page per picture; pixels: [H, W] or [H, W, samples]."""
    pages = [(pixels, how), *more]
    content = (b"II*\0" if how.order == "<" else b"MM\0*") + struct.pack(f"{how.order}I", 0)
    link = 4
    for picture, manner in pages:
        content, link = _add_page(content, link, picture, manner)
    return content


def _add_page(content: bytes, link: int, pixels: np.ndarray, how: Tiff) -> tuple[bytes, int]:
    order = how.order
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    bits = how.bits or 8 * pixels.itemsize
    parts = [_packed(part, bits, how) for part in _parts(pixels, how)]
    offsets: list[int] = []
    for part in parts:
        content += b"\0" * (len(content) % 2)
        offsets.append(len(content))
        content += part
    tags: dict[int, tuple[int, list[int]]] = {
        256: (LONG, [pixels.shape[1]]), 257: (LONG, [pixels.shape[0]]), 258: (SHORT, [bits] * samples),
        259: (SHORT, [how.compression]), 262: (SHORT, [how.photometric]), 277: (SHORT, [samples]),
        284: (SHORT, [how.planar]), 317: (SHORT, [how.predictor]), 339: (SHORT, [how.sample_format] * samples),
    }  # fmt: skip
    if how.tile:
        tags |= {322: (LONG, [how.tile]), 323: (LONG, [how.tile]), 324: (LONG, offsets)}
        tags[325] = (LONG, [len(part) for part in parts])
    else:
        tags |= {273: (LONG, offsets), 278: (LONG, [how.rows or pixels.shape[0]])}
        tags[279] = (LONG, [len(part) for part in parts])
    tags |= how.tags
    entries = b""
    for number, (kind, values) in sorted(tags.items()):
        value = b"".join(struct.pack(order + ("H" if kind == SHORT else "I"), v) for v in values)
        if len(value) > 4:
            content += b"\0" * (len(content) % 2)
            content, value = content + value, struct.pack(f"{order}I", len(content))
        entries += struct.pack(f"{order}HHI", number, kind, len(values)) + value.ljust(4, b"\0")
    content += b"\0" * (len(content) % 2)
    content = content[:link] + struct.pack(f"{order}I", len(content)) + content[link + 4 :]
    content += struct.pack(f"{order}H", len(tags)) + entries
    return content + b"\0" * 4, len(content)


def _parts(pixels: np.ndarray, how: Tiff) -> list[np.ndarray]:
    """The strips or tiles, plane by plane where the planes are apart."""
    planes = [pixels] if how.planar == 1 else [pixels[..., k] for k in range(pixels.shape[2])]
    parts = []
    for plane in planes:
        height, width = plane.shape[:2]
        if how.tile:
            side = how.tile
            down, right = -height % side, -width % side
            padded = np.pad(plane, ((0, down), (0, right), *((0, 0),) * (plane.ndim - 2)))
            parts += [
                padded[top : top + side, left : left + side]
                for top in range(0, height, side)
                for left in range(0, width, side)
            ]
        else:
            rows = how.rows or height
            parts += [plane[top : top + rows] for top in range(0, height, rows)]
    return parts


def _packed(part: np.ndarray, bits: int, how: Tiff) -> bytes:
    if how.predictor == 2:
        part = np.concatenate([part[:, :1], np.diff(part, axis=1)], axis=1)
    if bits < 8 * part.itemsize:
        rows = part.reshape(part.shape[0], -1).astype(np.uint32)
        places = (rows[..., None] >> np.arange(bits - 1, -1, -1)) & 1
        data = b"".join(np.packbits(row.ravel().astype(np.uint8)).tobytes() for row in places)
    else:
        data = part.astype(f"{how.order}{part.dtype.kind}{part.itemsize}").tobytes()
    if how.compression == 8:
        return zlib.compress(data)
    if how.compression == 32773:
        # Runs of up to 128 bytes as they are
        return b"".join(bytes([len(run) - 1]) + run for run in (data[k : k + 128] for k in range(0, len(data), 128)))
    if how.compression == 5:
        return _lzw(data)
    return data


def _lzw(data: bytes) -> bytes:
    """Codes of 9 bits, with a clear code before the table would need longer ones."""
    codes = []
    for start in range(0, len(data), 250):
        codes += [256, *data[start : start + 250]]
    codes.append(257)
    return np.packbits([(code >> place) & 1 for code in codes for place in range(8, -1, -1)]).tobytes()
