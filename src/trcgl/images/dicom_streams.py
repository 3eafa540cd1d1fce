"""What a compressed DICOM frame says of itself: its format and size, which the tags beside it may contradict.

pydicom gives the decoded pixels the shape that the tags state: a frame of as many pixels but of another width would
be a picture of stripes.
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
    """What a frame states.

    Attributes:
        kind: its format, "" if it is not known.
        size: width and height; None if they are not found.
        samples: of a pixel; 0 if it is not known.
        bits: of a value, in JPEG 2000; 0 if they are not known.
        signed: whether values of JPEG 2000 may be negative.
    """

    kind: str
    size: tuple[int, int] | None = None
    samples: int = 0
    bits: int = 0
    signed: bool = False


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
    if samples > 1 and stream.bits > 8:
        raise UnreadableImage(
            f"DICOM in JPEG 2000 of {stream.bits} bits per colour; 8 are read: export it uncompressed"
        )


def is_rle(frame: bytes) -> bool:
    """By its head: the number of segments, and the place of the first, which is behind the head."""
    return frame[:1] != b"\0" and frame[1:8] == b"\0\0\0\x40\0\0\0"


def stated(frame: bytes) -> Stream:
    """By its first bytes."""
    if frame.startswith((JPEG_2000, JP2)):
        place = frame.find(JPEG_2000)
        if place < 0 or len(frame) < place + 43:
            return Stream("JPEG 2000")
        # Of the reference grid: right, lower, left, upper
        right, lower, left, upper = (int.from_bytes(frame[place + k : place + k + 4], "big") for k in range(8, 24, 4))
        samples, depth = int.from_bytes(frame[place + 40 : place + 42], "big"), frame[place + 42]
        return Stream("JPEG 2000", (right - left, lower - upper), samples, depth % 128 + 1, depth >= 128)
    if not frame.startswith(JPEG):
        return Stream("RLE" if is_rle(frame) else "")
    header = read_header(frame)
    if not header.kind:
        return Stream("")
    # A height of 0 comes after the picture
    size = (header.width, header.height) if header.height else None
    return Stream("JPEG-LS" if header.kind == JPEG_LS else "JPEG", size, len(header.components))
