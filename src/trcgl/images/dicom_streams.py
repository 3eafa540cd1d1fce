"""What a compressed DICOM frame says of itself: its format and size, which the tags beside it may contradict.

pydicom gives the decoded pixels the shape that the tags state: a frame of as many pixels but of another width would
be a picture of stripes.
"""

from pydicom.uid import UID

from trcgl.images.jpeg import JPEG_LS, read_header
from trcgl.images.unreadable import UnreadableImage

JPEG_2000 = b"\xff\x4f\xff\x51"
JP2 = b"\0\0\0\x0cjP  "
JPEG = b"\xff\xd8"
RLE = "1.2.840.10008.1.2.5"


def check_stream(frame: bytes, syntax: UID, columns: int, rows: int) -> None:
    """Raise UnreadableImage if a frame is of another format or size than the file's tags say."""
    kind, size = _stated(frame)
    named = (
        "RLE"
        if syntax == RLE
        else "JPEG 2000"
        if "2000" in syntax.name
        else "JPEG-LS"
        if "JPEG-LS" in syntax.name
        else "JPEG"
    )
    if kind and kind != named:
        raise UnreadableImage(f"DICOM in the transfer syntax {syntax.name.split(' (')[0]} whose pixels are {kind}")
    if size and size != (columns, rows):
        raise UnreadableImage(
            f"DICOM of {columns} x {rows} pixels by its tags, {size[0]} x {size[1]} by its compressed picture"
        )


def is_rle(frame: bytes) -> bool:
    """By its head: the number of segments, and the place of the first, which is behind the head."""
    return frame[:1] != b"\0" and frame[1:8] == b"\0\0\0\x40\0\0\0"


def _stated(frame: bytes) -> tuple[str, tuple[int, int] | None]:
    """Format, "" if it is not known, and width and height, None if they are not found."""
    if frame.startswith((JPEG_2000, JP2)):
        place = frame.find(JPEG_2000)
        if place < 0 or len(frame) < place + 24:
            return "JPEG 2000", None
        # Of the reference grid: right, lower, left, upper
        right, lower, left, upper = (int.from_bytes(frame[place + k : place + k + 4], "big") for k in range(8, 24, 4))
        return "JPEG 2000", (right - left, lower - upper)
    if not frame.startswith(JPEG):
        return "RLE" if is_rle(frame) else "", None
    header = read_header(frame)
    if not header.kind:
        return "", None
    # A height of 0 comes after the picture
    size = (header.width, header.height) if header.height else None
    return "JPEG-LS" if header.kind == JPEG_LS else "JPEG", size
