"""Compare how a DICOM file is actually encoded with what its transfer syntax says."""

import zlib

from pydicom.uid import UID

from trcgl.images.kinds import DICOM_TYPES

LONG_TYPES = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Value representations whose length has four bytes, after two reserved bytes."""
SYNTAX = b"\x02\x00\x10\x00"
FIRST_GROUPS = range(4, 0x30)
"""Possible groups of the first tag after the head (group 2)."""
ITEM = b"\xfe\xff\x00\xe0"
"""The item tag, with which compressed pixels begin."""
NAMES = {
    "1.2.840.10008.1.2": "implicit, little-endian",
    "1.2.840.10008.1.2.1": "explicit, little-endian",
    "1.2.840.10008.1.2.2": "explicit, big-endian",
    "1.2.840.10008.1.2.1.99": "deflated",
}


def contradiction(data: bytes) -> str:
    """How a file's encoding contradicts its transfer syntax, for a message; "" if no contradiction is evident."""
    declared, place = _head(data)
    body = data[place:]
    stated = "" if not declared else NAMES.get(declared, "explicit, little-endian")
    found = _written(body)
    if not body:
        return "DICOM with nothing behind its head (group 2)"
    if not found:
        return (
            "DICOM whose data are neither tags nor deflated tags: its head (group 2) may be damaged" if not stated
            else f"DICOM whose transfer syntax says that it is {stated}, and whose data are not; export it again"
        )  # fmt: skip
    if found == stated or not stated:
        return ""
    return (
        f"DICOM in the transfer syntax {UID(declared).name.split(' (')[0]} that is written as {found}; export it again"
    )


def is_encapsulated(pixels: bytes) -> bool:
    """Whether pixel data are a chain of items up to the last byte, as compressed data are (very unlikely by chance)."""
    place = 0
    while pixels[place : place + 4] == ITEM:
        place += 8 + int.from_bytes(pixels[place + 4 : place + 8], "little")
    return place > 0 and pixels[place : place + 4] in (b"", b"\0", b"\xfe\xff\xdd\xe0")


def _head(data: bytes) -> tuple[str, int]:
    """The transfer syntax ("" if there is none) and the offset after group 2, which may be explicit or implicit."""
    place, declared = (132 if data[128:132] == b"DICM" else 0), ""
    while data[place : place + 2] == b"\2\0" and place + 8 <= len(data):
        kind = data[place + 4 : place + 6]
        if kind in LONG_TYPES:
            start, length = place + 12, data[place + 8 : place + 12]
        else:
            start, length = (
                place + 8,
                data[place + 6 : place + 8] if kind in DICOM_TYPES else data[place + 4 : place + 8],
            )
        end = start + int.from_bytes(length, "little")
        if data[place : place + 4] == SYNTAX:
            declared = data[start:end].rstrip(b"\0 ").decode("ascii", "replace")
        place = end
    return declared, place


def _written(body: bytes) -> str:
    """The encoding of the data: explicit or implicit with byte order, or deflated; "" if it is none of these."""
    group, value = body[:2], body[4:8]
    for order in ("little", "big"):
        if int.from_bytes(group, order) in FIRST_GROUPS:
            if value[:2] in DICOM_TYPES:
                return f"explicit, {order}-endian"
            if int.from_bytes(value, order) <= len(body):
                return f"implicit, {order}-endian"
    for start, name in ((0, "deflated"), (2, "deflated in a zlib stream")):
        try:
            plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(body[start:], 132)
        except zlib.error:
            continue
        if len(plain) >= 8 and _written(plain):
            return name
    return ""
