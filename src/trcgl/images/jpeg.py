"""Decode JPEG by libjpeg-turbo through simplejpeg: of the available wrappers, only this one reports libjpeg's warnings.

If data are missing, libjpeg fills the picture with grey and only gives a warning. OpenCV only prints this warning, and
Pillow drops it.
"""

import re
from dataclasses import dataclass, field

import numpy as np
import simplejpeg

from trcgl.images.grey import grey, turned
from trcgl.images.unreadable import UnreadableImage, check_size, one_line

BARE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length: TEM, RST0 to RST7, SOI."""
JPEG_LS = 0xF7
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {JPEG_LS}
APP0, APP1, APP14, EOI, SOS = 0xE0, 0xE1, 0xEE, 0xD9, 0xDA
PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


@dataclass
class Header:
    """The content of a JPEG's markers.

    Attributes:
        kind: marker of the frame; 0 if none was found.
        scans: components, first and last coefficient and remaining bits of each scan.
        metadata: whether there is EXIF or XMP.
        sampling: sampling factors of each component, horizontal and vertical in four bits each.
        names_colours: whether a marker states the colour space of the components.
    """

    kind: int = 0
    precision: int = 0
    height: int = 0
    width: int = 0
    components: tuple[int, ...] = ()
    scans: list[tuple[tuple[int, ...], int, int, int]] = field(default_factory=list)
    metadata: bool = False
    sampling: tuple[int, ...] = ()
    names_colours: bool = False


def decode_jpeg(data: bytes) -> np.ndarray:
    """Upright grey uint8 [H, W]."""
    header = read_header(data)
    check_size(header.width, header.height)
    pixels = checked_pixels(data, header)
    if len(header.components) == 4:
        from trcgl.images.by_pillow import pillow_pixels

        # Pillow detects in which files CMYK is inverted
        return pillow_pixels(data, ("JPEG",))
    shown = grey(pixels)
    if header.metadata:
        from trcgl.images.by_pillow import orientation

        return turned(shown, orientation(data, ("JPEG",)))
    return shown


def checked_pixels(data: bytes, header: Header | None = None) -> np.ndarray:
    """The pixels as stored, uint8 [H, W, C] with blue first.

    Raises:
        UnreadableImage: the data are damaged, cut short, or of an unsupported kind.
    """
    header = header or read_header(data)
    if not header.kind:
        raise UnreadableImage("truncated JPEG (no picture in it)")
    if header.kind == JPEG_LS:
        raise UnreadableImage("JPEG-LS, which is not read; save it as PNG")
    if header.precision != 8:
        raise UnreadableImage(f"JPEG of {header.precision} bits; 8 are read, so save it as 16-bit PNG or TIFF")
    _check_scans(header)
    space = {1: "GRAY", 4: "CMYK"}.get(len(header.components), "BGR")
    try:
        return simplejpeg.decode_jpeg(data, colorspace=space)
    except ValueError as error:
        reason = one_line(error).removeprefix("Corrupt JPEG data: ")
        if reason.startswith("Premature end"):
            raise UnreadableImage("truncated JPEG (no end marker)") from None
        if "subsampling" in reason and header.scans:
            raise UnreadableImage("JPEG whose colours are sampled in an unusual way; save it as PNG") from None
        raise UnreadableImage(f"damaged JPEG data ({reason})") from None


def read_header(data: bytes) -> Header:
    """Read the markers of the picture. Those of a thumbnail are inside a segment and are skipped."""
    header = Header()
    place, end = 2, len(data)
    while place + 4 <= end:
        if data[place] != 0xFF:
            # There is no marker where one must be; the decoder reports the error
            return header
        marker = data[place + 1]
        if marker == 0xFF or marker in BARE:
            place += 1 if marker == 0xFF else 2
            continue
        if marker == EOI:
            return header
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        body = data[place + 4 : place + 2 + length]
        place += 2 + length
        if marker in FRAMES and len(body) >= 6 and not header.kind:
            header.kind, header.precision = marker, body[0]
            header.height, header.width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
            header.components = tuple(body[6 : 6 + 3 * body[5] : 3])
            header.sampling = tuple(body[7 : 6 + 3 * body[5] : 3])
        elif marker == APP1:
            header.metadata = True
        elif (marker, body[:5]) in ((APP0, b"JFIF\0"), (APP14, b"Adobe")):
            header.names_colours = True
        elif marker == SOS:
            count = body[0] if body else 0
            if len(body) < 2 * count + 4:
                return header
            first, last, bits = body[2 * count + 1 : 2 * count + 4]
            header.scans.append((tuple(body[1 : 2 * count + 1 : 2]), first, last, bits & 15))
            if header.kind not in PROGRESSIVE and count == len(header.components):
                # This scan holds the whole picture, so the rest need not be searched
                return header
            following = AFTER_SCAN.search(data, place)
            if following is None:
                return header
            place = following.start()
    return header


def _check_scans(header: Header) -> None:
    """Raise UnreadableImage if scans are missing: libjpeg decodes an incomplete picture without any warning."""
    bits = {(component, k): 14 for component in header.components for k in range(64)}
    for components, first, last, low in header.scans:
        for component in components:
            # Scans of a sequential JPEG contain all coefficients
            for k in range(first, last + 1) if header.kind in PROGRESSIVE else range(64):
                bits[component, k] = low if header.kind in PROGRESSIVE else 0
    if header.scans and any(bits.values()):
        raise UnreadableImage("truncated JPEG (scans are missing)")
