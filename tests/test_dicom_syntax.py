"""DICOM files that are not written as their transfer syntax says: the right picture, or the right reason."""

import zlib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import UID

from tests.pixel_cells.cell import film
from tests.pixel_cells.dicom_files import dicom, halves, relabelled
from tests.pixel_cells.syntaxes import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, JPEG, JPEG_2000, NATIVE, RLE
from trcgl.images.decode import UnreadableImage, decode

KINDS = {JPEG_2000: "JPEG 2000", JPEG: "JPEG", RLE: "RLE"}
WRITTEN = dict(zip(NATIVE, ("implicit, little", "explicit, little", "deflated", "explicit, big"), strict=True))


def film_of(syntax: UID) -> np.ndarray:
    return film(255) if syntax == JPEG else film(4095).astype(np.uint16)


def seen(path: Path, content: bytes) -> np.ndarray | str:
    path.write_bytes(content)
    try:
        return decode(path)
    except UnreadableImage as error:
        return str(error)


@pytest.mark.parametrize(
    ("real", "declared"), list(product((*NATIVE, *KINDS), repeat=2)), ids=lambda syntax: syntax.name.split(" (")[0]
)
def test_every_syntax_under_the_name_of_every_other(real: UID, declared: UID, tmp_path: Path):
    pixels = film_of(real)
    content = dicom(pixels, real, BitsStored=12 if pixels.itemsize == 2 else 8)
    truth = seen(tmp_path / "true.dcm", content)
    got = seen(tmp_path / "a.dcm", relabelled(content, declared))
    assert isinstance(truth, np.ndarray)
    if real != JPEG:
        np.testing.assert_array_equal(truth, pixels)
    # pydicom tells explicit from implicit by itself
    if real == declared or {real, declared} == {IMPLICIT, EXPLICIT}:
        np.testing.assert_array_equal(got, truth)
        return
    assert isinstance(got, str)
    assert got.startswith(f"DICOM in the transfer syntax {declared.name.split(' (')[0]} ")
    tags, tags_declared = (
        {BIG_ENDIAN: "big", DEFLATED: "deflated"}.get(syntax, "little") for syntax in (real, declared)
    )
    if tags != tags_declared:
        assert f"that is written as {WRITTEN.get(real, 'explicit, little')}" in got
    elif real in KINDS and declared in KINDS:
        assert f"whose pixels are {KINDS[real]}" in got
    else:
        assert f"whose pixels are {'' if real in KINDS else 'not '}compressed" in got


def implicit(head: bytes) -> bytes:
    """Group 2 with the lengths of the implicit form."""
    found, place = b"", 132
    while place < len(head):
        long = head[place + 4 : place + 6] in (b"OB", b"UN")
        start = place + (12 if long else 8)
        length = int.from_bytes(head[place + 8 : start] if long else head[place + 6 : start], "little")
        found += head[place : place + 4] + length.to_bytes(4, "little") + head[start : start + length]
        place = start + length
    return head[:132] + found


def stated_length(head: bytes, length: int) -> bytes:
    return head[:140] + length.to_bytes(4, "little") + head[144:]


def test_an_odd_head_does_not_cost_the_film(tmp_path: Path):
    pixels = film(4095).astype(np.uint16)
    head, body = halves(dicom(pixels, BitsStored=12))
    big = halves(dicom(pixels, BIG_ENDIAN, BitsStored=12))[1]
    for content in (
        head[:132] + head[144:] + body,
        *(stated_length(head, length) + body for length in (0, 20, len(head) + 40, 2**31)),
        implicit(head) + body,
        head[:132] + body,
        head[132:] + body,
        body,
        big,
        relabelled(head + body, f"{EXPLICIT} "),
    ):
        np.testing.assert_array_equal(seen(tmp_path / "a.dcm", content), pixels)


def test_a_damaged_head_or_body_has_its_reason(tmp_path: Path):
    head, body = halves(dicom(film(4095).astype(np.uint16), BitsStored=12))
    deflated = relabelled(head, DEFLATED)
    for content, reason in (
        (head, "nothing behind its head"),
        (head[:170], "nothing behind its head"),
        (head[:132] + head[128:] + body, "its head (group 2) may be damaged"),
        (deflated + zlib.compress(body), "that is written as deflated in a zlib stream"),
        (head + b"\xff" * 999, "says that it is explicit, little-endian, and whose data are not"),
    ):
        assert reason in str(seen(tmp_path / "a.dcm", content))
