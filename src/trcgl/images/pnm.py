"""PGM and PPM as stored: the binary ones by OpenCV, since Pillow would stretch the values; PBM is Pillow's."""

import math
import re

import numpy as np

from trcgl.images.by_opencv import opencv_pixels
from trcgl.images.by_pillow import pillow_pixels
from trcgl.images.grey import grey
from trcgl.images.unreadable import UnreadableImage, check_size


def decode_pnm(data: bytes) -> np.ndarray:
    """Grey [H, W], uint8 or uint16."""
    if data[1:2] in b"14":
        return pillow_pixels(data, ("PPM",))
    # Width, height and the largest value, between which there may be comments
    words = re.sub(rb"#[^\n]*", b"", data[2:1000]).split(None, 3)[:3]
    if len(words) < 3 or not all(word.isdigit() for word in words):
        raise UnreadableImage("damaged PNM (its head has no size)")
    width, height, top = (int(word) for word in words)
    if not width or not height:
        raise UnreadableImage("damaged PNM (a side of no length)")
    check_size(width, height)
    if data[1:2] in b"23":
        pixels = _written_out(data, (height, width) if data[1:2] == b"2" else (height, width, 3))
    else:
        pixels = opencv_pixels(data)
    if pixels.max() > top:
        raise UnreadableImage(f"damaged PNM (a value of {pixels.max()} above its largest, {top})")
    return grey(pixels)


def _written_out(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers of P2 and P3 behind the head, blue first as OpenCV has it."""
    words = re.sub(rb"#[^\n]*", b"", data[2:]).split()[3 : 3 + math.prod(shape)]
    if len(words) < math.prod(shape) or not all(word.isdigit() and len(word) < 6 for word in words):
        raise UnreadableImage("damaged PNM (numbers are missing)")
    values = np.array(words).astype(np.uint32).reshape(shape)
    if len(shape) == 3:
        values = values[..., ::-1]
    return values.astype(np.uint8 if values.max() < 256 else np.uint16)
