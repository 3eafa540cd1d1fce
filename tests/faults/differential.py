"""Spoil picture files and compare what is read with other readers: `python -m tests.faults.differential --minutes 20`.

A case fails if it crashes or hangs (see tests/faults/fuzz.py, whose options it takes), or if our reader and another
both read the file and see different pictures.
"""

import io
import re
import sys
import warnings
from functools import cache
from itertools import chain, islice
from pathlib import Path

import cv2
import numpy as np
import pydicom
from PIL import Image, ImageOps
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut

from tests.faults.fuzz import run
from tests.faults.spoiled import spoil
from tests.pixel_cells import dicom_files, jpeg_files, other_files, png_files, tiff_cells
from tests.pixel_cells.cell import luma
from tests.pixel_cells.dicom_files import NATIVE, UID_TAG, relabelled
from tests.pixel_cells.syntaxes import JPEG, JPEG_2000, RLE
from trcgl.images.decode import UnreadableImage, decode
from trcgl.images.kinds import is_dicom
from trcgl.images.quiet import quiet_libraries

FILES = (png_files, jpeg_files, tiff_cells, dicom_files, other_files)
EVERY = 7
"""Of the matrix's files one in so many, which is enough for each kind."""
RENAMED = 0.1
SYNTAXES = (*NATIVE, RLE, JPEG_2000, JPEG)
"""Which a DICOM file gets that is written in another one, now and then."""
CLOSE = 4 / 255
"""Of the range: readers with 8 bits against ours with 16, and colours rounded in another way."""


@cache
def bank() -> list[bytes]:
    return [cell.content for cell in islice(chain.from_iterable(files.cells() for files in FILES), 0, None, EVERY)]


def run_case(seed: int, number: int, folder: Path) -> str:
    """Run one case in `folder`.

    Returns:
        "refused" and the reason, "equal", or "alone" if no other reader reads the file.

    Raises:
        AssertionError: another reader sees another picture.
    """
    random = np.random.default_rng([seed, number])
    contents = bank()
    content = contents[int(random.integers(len(contents)))]
    if UID_TAG in content[:400] and random.random() < RENAMED:
        content = relabelled(content, str(random.choice(SYNTAXES)))
    content = spoil(random, content)
    return compare(folder / "case", content)


def compare(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    try:
        ours = _from_dark_to_bright(decode(path))
    except UnreadableImage as error:
        return f"refused: {error}"
    readers = (by_pydicom,) if is_dicom(content[:132]) else (by_pillow, by_opencv)
    outcome = "alone"
    for reader in readers:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = reader(content)
        if theirs is None or not np.isfinite(theirs).all() or theirs.min() == theirs.max():
            continue
        # Colours are rounded by up to a level, which is much where there are few
        close = CLOSE + 2 / (float(theirs.max()) - float(theirs.min()))
        theirs = _from_dark_to_bright(theirs)
        assert ours.shape == theirs.shape, f"{reader.__name__}: {ours.shape} here, {theirs.shape} there"
        difference = np.abs(ours - theirs)
        assert difference.max() <= close, f"{reader.__name__}: {(difference > close).mean():.1%} of pixels differ"
        outcome = "equal"
    return outcome


def _from_dark_to_bright(pixels: np.ndarray) -> np.ndarray:
    """float64 from 0 to 1: readers stretch 12 bits in their own ways."""
    values = pixels.astype(np.float64)
    return (values - values.min()) / (values.max() - values.min())


def _xmp_of_another_spelling(content: bytes) -> bool:
    """Whether it may state an orientation in a way that is read here and not by Pillow."""
    return re.search(rb"tiff:Orientation(?![\">])", content) is not None


def by_pillow(content: bytes) -> np.ndarray | None:
    """Upright luma; 16-bit TIFF of which white is zero, which Pillow does not know, turned round."""
    if _xmp_of_another_spelling(content):
        return None
    try:
        with quiet_libraries(), Image.open(io.BytesIO(content)) as image:
            # The byte of the header that says "bits less one": Pillow spoils colours of more than 8
            place = content[:100].find(b"ihdr")
            if image.format == "JPEG2000" and image.mode == "RGB" and place >= 0 and content[place + 14] != 7:
                return None
            tags = dict(getattr(image, "tag_v2", {}))
            upright = ImageOps.exif_transpose(image)
            if upright.mode in ("L", "LA"):
                return np.asarray(upright.convert("L"))
            if upright.mode[0] in "IF":
                if content[:1] == b"M" and tags.get(259) != 1 and upright.mode[:4] != "I;16":
                    return None  # Pillow swaps the bytes twice
                values = np.asarray(upright).astype(np.float64)
                # 32-bit ones are signed here
                values[values < 0] += 2**32 if tags.get(258) == (32,) and tags.get(339, (1,)) == (1,) else 0
                return -values if tags.get(262) == 0 else values
            return luma(np.asarray(upright.convert("RGB")))
    except Exception:  # Whatever another reader says of a spoilt file is not looked at
        return None


def by_opencv(content: bytes) -> np.ndarray | None:
    """Luma, where OpenCV shows a file right: no orientation of its own but TIFF's, no white that is zero, no CMYK.

    Of PAM it takes red for blue, and black and white for bits.
    """
    if content.startswith(b"P7") or _xmp_of_another_spelling(content):
        return None
    try:
        with Image.open(io.BytesIO(content)) as image:
            tags = dict(getattr(image, "tag_v2", {}))
            if image.mode == "CMYK" or (image.format != "TIFF" and image.getexif().get(0x0112, 1) in range(2, 9)):
                return None
    except Exception:  # As above; OpenCV may still read it
        return None
    if tags.get(262) == 0 or 338 in tags:
        return None
    try:
        with quiet_libraries():
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if pixels is None or pixels.ndim == 2:
        return pixels
    return pixels[..., 0] if pixels.shape[2] == 2 else luma(pixels[..., 2::-1])


def by_pydicom(content: bytes) -> np.ndarray | None:
    """Its pixels with its own look-ups; MONOCHROME1 turned round. None where padding or oblong pixels are involved."""
    try:
        dataset = pydicom.dcmread(io.BytesIO(content), force=True)
        if any(name in dataset for name in ("PixelPaddingValue", "PixelSpacing", "PixelAspectRatio")):
            return None
        # pydicom ignores HighBit, and negative slopes turn its windows round
        if dataset.HighBit != dataset.BitsStored - 1 or (dataset.get("RescaleSlope") or 1) < 0:
            return None
        pixels = dataset.pixel_array
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            # In pydicom numbers above 255 wrap round in tables of bytes, and tables keep the machine's byte order
            bits = dataset.RedPaletteColorLookupTableDescriptor[2]
            if (bits == 8 and pixels.max() > 255) or not dataset.original_encoding[1]:
                return None
            pixels = apply_color_lut(pixels, dataset)
        if pixels.ndim == 3:
            return luma(pixels)
        # pydicom keeps bits beside the value after decompression
        spare = 8 * pixels.dtype.itemsize - dataset.BitsStored
        pixels = np.right_shift(np.left_shift(pixels, spare), spare)
        shown = apply_voi_lut(apply_modality_lut(pixels, dataset), dataset).astype(np.float64)
        return shown.max() - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown
    except Exception:  # Whatever another reader says of a spoilt file is not looked at
        return None


if __name__ == "__main__":
    sys.exit(run(run_case, "python -m tests.faults.differential", __doc__))
