"""Decode DICOM to grey. pydicom reads the file and decodes its pixels; the other dicom_*.py modules interpret the tags.

This module is imported only where needed: pydicom takes a quarter of the start-up time of a stage and of each worker.
"""

import io
import math
from typing import BinaryIO

import cv2
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from trcgl.images.dicom_compressed import check_compressed, own_stream, roughness, unpack_uncompressed, with_sign
from trcgl.images.dicom_streams import RLE, Stream
from trcgl.images.dicom_syntax import contradiction, is_encapsulated
from trcgl.images.dicom_tags import lift_shared_tags, overlay_bits, pixel_ratio, required
from trcgl.images.dicom_values import padding_mask, palette_grey, shown_grey, value_range
from trcgl.images.unreadable import UnreadableImage, check_frames, check_size, one_line

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
GREY = ("MONOCHROME1", "MONOCHROME2")
CELLS = (1, 8, 16, 32, 64)
"""Allowed values of BitsAllocated: the bits of a pixel cell, including unused bits."""
OVERSHOOT = 0.05
"""Share of the range by which compressed values may exceed it."""
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


def decode_dicom(data: bytes) -> np.ndarray:
    """Grey float32 [H, W] as a viewer would display it: air is dark, pixels are square."""
    try:
        dataset = _dataset(data)
        _check_pixels(dataset)
        pixels = _grey(dataset)
        return _square(pixels, pixel_ratio(dataset))
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # pydicom and its decoders raise many undocumented kinds on damaged files
        raise UnreadableImage(f"DICOM pixels cannot be decoded: {one_line(error)}") from None


def _dataset(data: bytes) -> Dataset:
    """Read all tags.

    Raises:
        UnreadableImage: the tags or the pixels are not found, because the file is not encoded as its transfer syntax
            says, or is cut short.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    except Exception:  # pydicom raises many undocumented kinds; without a better reason it goes on to `decode_dicom`
        wrong = contradiction(data)
        if wrong:
            raise UnreadableImage(wrong) from None
        raise
    wrong = "" if any(name in dataset for name in PIXELS) else contradiction(data)
    if wrong:
        raise UnreadableImage(wrong)
    # Where encapsulated pixels do not end, pydicom drops all tags
    if not len(dataset) and "Rows" in pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, force=True):
        raise UnreadableImage("DICOM cut short in its pixels; copy it again")
    return dataset


def dicom_size(data: bytes | str) -> tuple[int, int]:
    """Width and height of a file, or of its first bytes."""
    source = io.BytesIO(data) if isinstance(data, bytes) else data
    tags = pydicom.dcmread(source, stop_before_pixels=True, force=True, specific_tags=["Rows", "Columns"])
    return int(tags.Columns), int(tags.Rows)


def stated_ratio(file: BinaryIO) -> float:
    """Height of a pixel divided by its width; the pixels are not read."""
    tags = pydicom.dcmread(file, stop_before_pixels=True, force=True)
    lift_shared_tags(tags)
    return pixel_ratio(tags)


def _check_pixels(dataset: Dataset) -> None:
    """Raise UnreadableImage unless there is one picture and the way to decode it is stated."""
    if not any(name in dataset for name in PIXELS):
        kind = UID(str(dataset.get("SOPClassUID") or "")).name.removesuffix(" Storage")
        raise UnreadableImage(f"DICOM without pixels{f' ({one_line(kind)})' if kind else ''}")
    rows, columns = required(dataset, "Rows"), required(dataset, "Columns")
    check_size(columns, rows)
    required(dataset, "SamplesPerPixel")
    check_frames(int(dataset.get("NumberOfFrames") or 1))
    lift_shared_tags(dataset)
    if not dataset.file_meta.get("TransferSyntaxUID"):
        _guess_syntax(dataset)
    unpack_uncompressed(dataset)
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_private or not syntax.is_transfer_syntax:
        raise UnreadableImage(f"DICOM in the transfer syntax {str(syntax)!r}, which is unknown; export it uncompressed")
    if not syntax.is_compressed or syntax.is_deflated:
        _check_native_frames(dataset)
        return
    check_compressed(dataset, columns, rows)


def _frame_bytes(dataset: Dataset) -> int:
    """Number of bytes of one uncompressed frame."""
    samples = int(dataset.get("SamplesPerPixel") or 1)
    if dataset.get("PhotometricInterpretation") == "YBR_FULL_422":
        samples = 2
    bits = required(dataset, "BitsAllocated")
    return math.ceil(required(dataset, "Rows") * required(dataset, "Columns") * samples * bits / 8)


def _pixel_bytes(dataset: Dataset) -> int:
    return len(next(dataset[name].value for name in PIXELS if name in dataset) or b"")


def _check_native_frames(dataset: Dataset) -> None:
    """Raise UnreadableImage unless uncompressed pixels have exactly one frame, whatever `NumberOfFrames` says.

    Bytes after the frame are harmless if they are fewer than a second frame.
    """
    if "PixelData" in dataset and is_encapsulated(dataset.PixelData):
        name = dataset.file_meta.TransferSyntaxUID.name.split(" (")[0]
        raise UnreadableImage(f"DICOM in the transfer syntax {name} whose pixels are compressed; export it again")
    held, frame = _pixel_bytes(dataset), max(1, _frame_bytes(dataset))
    if held < frame:
        raise UnreadableImage(f"DICOM pixels cut short: {held} bytes of {frame}")
    check_frames(held // frame)


def _guess_syntax(dataset: Dataset) -> None:
    """Guess a missing transfer syntax, only if the pixels have exactly the length of an uncompressed picture.

    The encoding of the tags is known from reading them, and the pixels have the same encoding.

    Raises:
        UnreadableImage: the length of the pixels does not fit.
    """
    held, frame = _pixel_bytes(dataset), _frame_bytes(dataset)
    implicit, little = dataset.original_encoding
    syntax = {
        (True, True): ImplicitVRLittleEndian, (False, True): ExplicitVRLittleEndian, (False, False): ExplicitVRBigEndian
    }.get((bool(implicit), bool(little)))  # fmt: skip
    if held not in (frame, frame + frame % 2) or syntax is None:
        raise UnreadableImage(
            f"DICOM without a transfer syntax, and {held} bytes of pixels where {frame} would be uncompressed; "
            "export it again with its file meta information"
        )
    dataset.file_meta.TransferSyntaxUID = syntax


def _grey(dataset: Dataset) -> np.ndarray:
    """float32 [H, W]."""
    photometric = str(dataset.get("PhotometricInterpretation") or "").strip().upper()
    dataset.PhotometricInterpretation = photometric
    samples = int(dataset.get("SamplesPerPixel") or 1)
    if photometric not in (*GREY, *COLOUR, "PALETTE COLOR"):
        raise UnreadableImage(
            f"DICOM with the photometric interpretation {photometric!r}; MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB "
            "and YBR_FULL are read"
        )
    if samples != (3 if photometric in COLOUR else 1):
        raise UnreadableImage(f"DICOM of {samples} samples per pixel, which contradicts {photometric}")
    stored, cells = _stored(dataset)
    if photometric == "PALETTE COLOR":
        return palette_grey(stored, dataset)
    if photometric in COLOUR:
        if stored.dtype not in (np.uint8, np.uint16):
            stored = stored.astype(np.float32)
        # pydicom has already converted YBR to RGB
        return cv2.cvtColor(stored, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return shown_grey(stored, cells, dataset)


def _stored(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The stored values, without the unused bits of their cells (older files kept overlays in these bits); the cells.

    Both are the same where no bit of a cell is unused.
    """
    if "PixelData" not in dataset:
        return dataset.pixel_array, dataset.pixel_array
    allocated, bits = required(dataset, "BitsAllocated"), required(dataset, "BitsStored")
    if allocated not in CELLS:
        raise UnreadableImage(
            f"DICOM tag BitsAllocated is {allocated}; it must be one of: {', '.join(map(str, CELLS))}"
        )
    for name in ("PixelRepresentation", *(["PlanarConfiguration"] if dataset.SamplesPerPixel > 1 else [])):
        required(dataset, name, least=0)
    high = int(dataset.get("HighBit", bits - 1))
    if not 1 <= bits <= allocated or not bits - 1 <= high < allocated:
        raise UnreadableImage(
            f"DICOM tags BitsStored {bits}, BitsAllocated {allocated} and HighBit {high} contradict each other"
        )
    syntax = dataset.file_meta.TransferSyntaxUID
    shift = high + 1 - bits
    # These encodings keep whole cells, so the bits are at the positions that the tags state
    whole_cells = not syntax.is_compressed or syntax.is_deflated or syntax == RLE
    if shift and not whole_cells:
        raise UnreadableImage(f"compressed DICOM with HighBit {high} beside BitsStored {bits}; export it uncompressed")
    own = Stream("") if whole_cells else own_stream(dataset)
    if whole_cells and allocated > 1:
        # pydicom would drop the unused bits, and it would use the lowest bits whatever HighBit says
        dataset.BitsStored, dataset.HighBit = allocated, allocated - 1
    elif own.kind == "JPEG" and bits < own.bits <= allocated:
        # gdcm would drop the bits that the tags do not state
        dataset.BitsStored, dataset.HighBit = own.bits, own.bits - 1
    values = dataset.pixel_array
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    if not whole_cells:
        values = with_sign(values, dataset)
    if allocated == 1 or values.dtype.kind not in "iu":
        return values, values
    size = 8 * values.dtype.itemsize
    if bits >= size and not shift:
        return values, values
    # The shift to the left drops the bits above the value; the shift to the right keeps the sign
    masked = np.right_shift(np.left_shift(values, size - bits - shift), size - bits)
    whole = np.right_shift(values, shift)
    low, high = value_range(dataset)
    if not whole_cells and whole.max() <= high + OVERSHOOT * (high - low) and whole.min() >= low:
        # Lossy compression overshoots at edges
        return np.minimum(whole, high), values
    _check_beside(whole, masked, values, dataset)
    return masked, values


def _check_beside(whole: np.ndarray, masked: np.ndarray, cells: np.ndarray, dataset: Dataset) -> None:
    """Raise UnreadableImage if the values have more bits than the tags state.

    The bits beside a value may hold an old overlay or another mark. Its outline makes the picture rougher. Bits that
    belong to the value make it smoother. Padding and overlays that the tags name say nothing.

    Args:
        whole, masked: [H, W, ...], with and without the bits above those that the tags state.
        cells: as they are stored.
    """
    if (whole == masked).all():
        return
    bits, wide, padding = int(dataset.BitsStored), whole.astype(np.int64), padding_mask(masked, cells, dataset)
    for place in overlay_bits(dataset):
        wide &= ~(1 << place) if place >= bits else -1
    if padding is not None:
        wide, masked = np.where(padding, 0, wide), np.where(padding, 0, masked)
    if roughness(masked) > roughness(wide):
        raise UnreadableImage(
            f"DICOM of {bits} bits per value by its tags, of more by its picture; export it with the right BitsStored"
        )


def _square(pixels: np.ndarray, ratio: float) -> np.ndarray:
    """Resample to square pixels. `ratio` is a pixel's height over its width; the coarser side gets more pixels."""
    if ratio == 1:
        return pixels
    height, width = pixels.shape
    new = (width, round(height * ratio)) if ratio > 1 else (round(width / ratio), height)
    check_size(*new)
    return cv2.resize(pixels, new, interpolation=cv2.INTER_LINEAR)
