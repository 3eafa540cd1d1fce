"""Decode PNM files: PGM, PPM, PBM and PAM, with the values as stored.

Binary PGM and PPM are decoded by OpenCV, because Pillow would stretch the values. Text PGM and PPM are decoded here.
PBM is decoded by Pillow. PAM is decoded here, because OpenCV swaps red and blue and reads black and white as bits.
"""

import math
import re

import numpy as np

from trcgl.images.by_opencv import opencv_pixels
from trcgl.images.by_pillow import pillow_pixels
from trcgl.images.grey import grey
from trcgl.images.kinds import PNM, START
from trcgl.images.unreadable import UnreadableImage, check_size

PAM_KINDS = {
    1: ("GRAYSCALE", "BLACKANDWHITE"), 2: ("GRAYSCALE_ALPHA", "BLACKANDWHITE_ALPHA"), 3: ("RGB",), 4: ("RGB_ALPHA",)
}  # fmt: skip
"""Allowed tuple types by the number of samples. The type is optional in a file."""
NUMBER = rb"(?:\s|#[^\n]*\n)+([0-9]+)"
"""A number, with the spaces and comments that may precede it."""
BINARY_HEAD = re.compile(rb"P4" + 2 * NUMBER + rb"\s|P[56]" + 3 * NUMBER + rb"\s")
"""Header of the binary formats: width, height and, except for bits (P4), the largest value."""


def decode_pnm(data: bytes) -> np.ndarray:
    """Grey [H, W], uint8 or uint16."""
    if head := BINARY_HEAD.match(data):
        _check_single(data, head.end() + _bytes_of(data[1:2], *(int(number) for number in head.groups() if number)))
    if data[1:2] in b"14":
        return pillow_pixels(data, ("PPM",))
    # Width, height and the largest value; there may be comments between them
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


def _bytes_of(kind: bytes, width: int, height: int, top: int = 1) -> int:
    """Number of bytes of the pixels of P4, P5 or P6."""
    if kind == b"4":
        return (width + 7) // 8 * height
    return width * height * (3 if kind == b"6" else 1) * (1 if top < 256 else 2)


def _check_single(data: bytes, end: int) -> None:
    """Raise UnreadableImage if another picture follows the first, as these formats allow. Other bytes are ignored."""
    rest = data[end : end + START].lstrip()
    if PNM.match(rest) or rest.startswith(b"P7\n"):
        raise UnreadableImage("several pictures; a radiograph has one")


def _written_out(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The text numbers of P2 and P3 after the header, with blue first as in OpenCV."""
    words = re.sub(rb"#[^\n]*", b"", data[2:]).split()[3 : 3 + math.prod(shape)]
    if len(words) < math.prod(shape) or not all(word.isdigit() and len(word) < 6 for word in words):
        raise UnreadableImage("damaged PNM (numbers are missing)")
    values = np.array(words).astype(np.uint32).reshape(shape)
    if len(shape) == 3:
        values = values[..., ::-1]
    return values.astype(np.uint8 if values.max() < 256 else np.uint16)


def decode_pam(data: bytes) -> np.ndarray:
    """Grey [H, W], uint8 or uint16."""
    head, mark, body = data.partition(b"\nENDHDR\n")
    lines = [line.split(None, 1) for line in head.split(b"\n")[1:] if line.strip() and not line.startswith(b"#")]
    stated = {words[0]: words[-1].strip() for words in lines}
    names = (b"HEIGHT", b"WIDTH", b"DEPTH", b"MAXVAL")
    if not mark or not all(stated.get(name, b"").isdigit() for name in names):
        raise UnreadableImage("damaged PNM (its head has no size)")
    height, width, depth, top = (int(stated[name]) for name in names)
    kind = stated.get(b"TUPLTYPE", b"").decode("ascii", "replace")
    if depth not in PAM_KINDS or kind not in ("", *PAM_KINDS[depth]) or not 0 < top < 65536:
        raise UnreadableImage(f"PAM of {depth} samples of up to {top} ({kind or 'not said of what'}); save it as PNG")
    if not width or not height:
        raise UnreadableImage("damaged PNM (a side of no length)")
    check_size(width, height)
    sample = np.dtype(np.uint8 if top < 256 else ">u2")
    count = height * width * depth
    if len(body) < count * sample.itemsize:
        raise UnreadableImage("damaged PNM (numbers are missing)")
    _check_single(body, count * sample.itemsize)
    pixels = np.frombuffer(body, sample, count).reshape(height, width, depth)
    if pixels.max() > top:
        raise UnreadableImage(f"damaged PNM (a value of {pixels.max()} above its largest, {top})")
    pixels = pixels.astype(np.uint8 if top < 256 else np.uint16)
    # Blue first, as `grey` expects
    return grey(pixels[..., [2, 1, 0, 3][:depth]] if depth > 2 else pixels)
