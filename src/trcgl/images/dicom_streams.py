"""Format and size that a compressed DICOM frame itself states; the file's tags may contradict them.

pydicom gives the decoded pixels the shape that the tags state. If the frame had the same number of pixels but another
width, the result would be a striped picture.
"""

from dataclasses import dataclass

from pydicom.uid import UID

from trcgl.images.jpeg import JPEG_LS, read_header
from trcgl.images.unreadable import UnreadableImage

JPEG_2000 = b"\xff\x4f\xff\x51"
JP2 = b"\0\0\0\x0cjP  "
JPEG = b"\xff\xd8"
RLE = "1.2.840.10008.1.2.5"


@dataclass(frozen=True)
class Stream:
    """The properties that a frame itself states.

    Attributes:
        kind: its format; "" if unknown.
        size: width and height; None if not found.
        samples: samples per pixel; 0 if unknown.
        bits: bits per value; 0 if unknown.
        signed: whether values of JPEG 2000 may be negative.
        to_rgb: whether decoding JPEG 2000 turns the components into red, green and blue.
    """

    kind: str
    size: tuple[int, int] | None = None
    samples: int = 0
    bits: int = 0
    signed: bool = False
    to_rgb: bool = False


def check_stream(frame: bytes, syntax: UID, columns: int, rows: int, samples: int) -> None:
    """Raise UnreadableImage if a frame is of another format, size or number of samples than the file's tags say."""
    stream = stated(frame)
    named = (
        "RLE"
        if syntax == RLE
        else "JPEG 2000"
        if "2000" in syntax.name
        else "JPEG-LS"
        if "JPEG-LS" in syntax.name
        else "JPEG"
    )
    if stream.kind and stream.kind != named:
        raise UnreadableImage(
            f"DICOM in the transfer syntax {syntax.name.split(' (')[0]} whose pixels are {stream.kind}"
        )
    if stream.size and stream.size != (columns, rows):
        raise UnreadableImage(
            f"DICOM of {columns} x {rows} pixels by its tags, {stream.size[0]} x {stream.size[1]} by its compressed "
            "picture"
        )
    if stream.samples and stream.samples != samples:
        raise UnreadableImage(
            f"DICOM of {samples} samples per pixel by its tags, {stream.samples} by its compressed picture"
        )
    if stream.kind == "JPEG 2000" and samples > 1 and stream.bits > 8:
        raise UnreadableImage(
            f"DICOM in JPEG 2000 of {stream.bits} bits per colour; 8 are read: export it uncompressed"
        )


def is_rle(frame: bytes) -> bool:
    """Whether a frame is RLE, by its header: the number of segments, and the offset of the first one (64)."""
    return frame[:1] != b"\0" and frame[1:8] == b"\0\0\0\x40\0\0\0"


def stated(frame: bytes) -> Stream:
    """Read the properties from a frame's header."""
    if frame.startswith((JPEG_2000, JP2)):
        place = frame.find(JPEG_2000)
        if place < 0 or len(frame) < place + 43:
            return Stream("JPEG 2000")
        # Borders of the image on the reference grid: right, lower, left, upper
        right, lower, left, upper = (int.from_bytes(frame[place + k : place + k + 4], "big") for k in range(8, 24, 4))
        samples, depth = int.from_bytes(frame[place + 40 : place + 42], "big"), frame[place + 42]
        # The marker COD: its length, the style, the progression, two bytes of layers, the colour transform
        coding = frame.find(b"\xff\x52", place + 42)
        to_rgb = 0 < coding < len(frame) - 8 and frame[coding + 8] == 1
        return Stream("JPEG 2000", (right - left, lower - upper), samples, depth % 128 + 1, depth >= 128, to_rgb)
    if not frame.startswith(JPEG):
        return Stream("RLE" if is_rle(frame) else "")
    header = read_header(frame)
    if not header.kind:
        return Stream("")
    # A height of 0 means that the height is stated only after the picture
    size = (header.width, header.height) if header.height else None
    kind = "JPEG-LS" if header.kind == JPEG_LS else "JPEG"
    return Stream(kind, size, len(header.components), header.precision)
