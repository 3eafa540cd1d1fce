"""One file of the matrix, and the picture in it."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 40, 52
ORIENTATIONS = range(1, 9)
LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Cell:
    """One file.

    Attributes:
        shown: greys as a viewer shows them, upright.
        within: largest difference allowed, in grey levels of `shown`.
        scaled: whether a reader may stretch the greys, as for 12 bits in 16: compared from darkest to brightest then.
    """

    name: str
    content: bytes
    shown: np.ndarray
    within: float = 0
    scaled: bool = False

    def difference(self, decoded: np.ndarray) -> float:
        """The largest one to what was decoded, as a part of what is allowed; infinite for another shape."""
        if decoded.shape != self.shown.shape:
            return np.inf
        ours, right = decoded.astype(np.float64), self.shown.astype(np.float64)
        if self.scaled:
            ours = (ours - ours.min()) / (ours.max() - ours.min()) * (right.max() - right.min()) + right.min()
        # A float32 has 24 bits
        allowed = self.within + 1e-6 * np.abs(right).max() * (self.scaled or decoded.dtype == np.float32)
        return float(np.abs(ours - right).max() - allowed)


def film(top: int, seed: int = 0) -> np.ndarray:
    """A lopsided picture [H, W] from 0 to `top`: turned or mirrored, it is another one."""
    down, right = np.mgrid[0:HEIGHT, 0:WIDTH]
    smooth = down / HEIGHT + (right / WIDTH) ** 3 + np.random.default_rng(seed).normal(0, 0.02, (HEIGHT, WIDTH))
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    kind = np.uint8 if top < 256 else np.uint16 if top < 65536 else np.uint32
    return (smooth * top + 0.5).clip(0, top).astype(kind)


def colours(top: int) -> np.ndarray:
    """A coloured picture [H, W, 3]."""
    return np.stack([film(top, 0), film(top, 1)[::-1], film(top, 2)[:, ::-1]], axis=-1)


def luma(pixels: np.ndarray) -> np.ndarray:
    """Of red, green and blue; readers round it in their own ways, by up to one level."""
    return pixels[..., :3].astype(np.float64) @ LUMA


def stored_as(shown: np.ndarray, orientation: int) -> np.ndarray:
    """How a camera has stored a picture that EXIF's orientation makes upright; by the words of the EXIF standard.

    The orientation says where row 0 and column 0 of what is stored belong: 6 is "row 0 is the right-hand side".
    """
    ways = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: np.swapaxes(p, 0, 1),
        # Row 0 is the right column, column 0 the top
        6: lambda p: np.swapaxes(p[:, ::-1], 0, 1),
        7: lambda p: np.swapaxes(p[::-1, ::-1], 0, 1),
        # Row 0 is the left column, column 0 the bottom
        8: lambda p: np.swapaxes(p[::-1], 0, 1),
    }
    return np.ascontiguousarray(ways[orientation](shown))


def exif(orientation: int) -> bytes:
    """With no other tag; without the six bytes that JPEG has before it."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes().removeprefix(b"Exif\0\0")


def saved(picture: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    """Written by Pillow."""
    handle = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(handle, kind, **options)
    return handle.getvalue()


def xmp_orientations(orientation: int) -> list[tuple[str, bytes]]:
    """The ways in which XMP may state an orientation: what is written, and the text."""
    ways = {
        "an attribute": f'<rdf:Description tiff:Orientation="{orientation}"/>',
        "an attribute in single quotes": f"<rdf:Description tiff:Orientation='{orientation}'/>",
        "an attribute with spaces": f'<rdf:Description tiff:Orientation = "{orientation}" />',
        "an element": f"<rdf:Description><tiff:Orientation>{orientation}</tiff:Orientation></rdf:Description>",
    }
    return [(f"XMP {orientation} as {how}", f"<x:xmpmeta>{text}</x:xmpmeta>".encode()) for how, text in ways.items()]
