"""Convert stored values to displayed greys: padding, modality and VOI look-up, window, palette and polarity."""

import cv2
import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from trcgl.images.dicom_shutter import shut
from trcgl.images.dicom_tags import number, numbers, window
from trcgl.images.unreadable import UnreadableImage

COLOURS = ("Red", "Green", "Blue")
SHAPES = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
PADDING = {
    "PixelData": ("PixelPaddingValue", "PixelPaddingRangeLimit"),
    "FloatPixelData": ("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    "DoubleFloatPixelData": ("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
}
"""Tags with the first and last value that mean "outside the picture", by the kind of pixels."""


def shown_grey(stored: np.ndarray, cells: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Convert a grey picture's stored values [H, W] to displayed greys, float32 [H, W].

    Args:
        cells: the same with the bits beside the values: in them, some devices mark pixels as padding.
    """
    photometric = str(dataset.PhotometricInterpretation)
    shape = str(dataset.get("PresentationLUTShape") or SHAPES[photometric])
    if shape != SHAPES[photometric]:
        raise UnreadableImage(
            f"DICOM tag PresentationLUTShape {shape!r} contradicts {photometric}: which end is dark is unknown"
        )
    if dataset.get("PresentationLUTSequence"):
        raise UnreadableImage("DICOM with a PresentationLUTSequence, which is not read; export it as shown")
    padding = padding_mask(stored, cells, dataset)
    # Values that overflow a float are refused by the caller, which can name the file
    with np.errstate(over="ignore", invalid="ignore"):
        rescaled = _rescaled(stored, dataset)
        values = _windowed(rescaled, dataset).astype(np.float32)
    _check_contrast(stored, rescaled, values, dataset)
    if photometric == "MONOCHROME1":
        values = values.max() - values
    if padding is not None and padding.any():
        if padding.all():
            raise UnreadableImage("DICOM of nothing but padding values")
        # Pixels outside the picture become dark, whatever value marks them
        values[padding] = values[~padding].min()
    return shut(values, dataset)


def _check_contrast(stored: np.ndarray, rescaled: np.ndarray, shown: np.ndarray, dataset: Dataset) -> None:
    """Raise UnreadableImage if the tags map different values to a single grey; the message names the tags."""

    def one_level(values: np.ndarray) -> bool:
        return bool(values.min() == values.max())

    if one_level(stored) or not one_level(shown):
        return
    if one_level(rescaled):
        table = "" if dataset.get("ModalityLUTSequence") else f" (slope {dataset.get('RescaleSlope')})"
        raise UnreadableImage(f"DICOM of one grey level after its modality look-up{table}")
    centre, width = window(dataset) or (None, None)
    limits = "" if dataset.get("VOILUTSequence") else f" (centre {centre:g}, width {width:g})"
    raise UnreadableImage(
        f"DICOM of one grey level after its VOI look-up{limits}: its values are {rescaled.min():g} to "
        f"{rescaled.max():g}"
    )


def padding_mask(stored: np.ndarray, cells: np.ndarray, dataset: Dataset) -> np.ndarray | None:
    """Mask of the values that are padding; None if no value is reserved for it.

    A padding value that needs more bits than values have is compared with whole cells.
    """
    names = next(names for pixels, names in PADDING.items() if pixels in dataset)
    first, last = (number(dataset, name) for name in names)
    if first is None:
        return None
    bounds = sorted(_as_stored(value, stored.dtype) for value in (first, first if last is None else last))
    low, high = value_range(dataset)
    among = stored if stored.dtype.kind not in "iu" or (low <= bounds[0] and bounds[1] <= high) else cells
    return (among >= bounds[0]) & (among <= bounds[1])


def _as_stored(value: float, kind: np.dtype) -> float:
    """Convert a tag's value to the signedness of the pixels, because some files write it with the other one."""
    if kind.kind not in "iu":
        return value
    limits = np.iinfo(kind)
    if not limits.min <= value <= limits.max:
        value -= np.sign(value) * 2.0**16
    return value


def _rescaled(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Modality look-up: a table, or slope and intercept."""
    if dataset.get("ModalityLUTSequence"):
        return _looked_up(stored, dataset, "ModalityLUTSequence")
    rescale = _rescale(dataset)
    return stored if rescale is None else stored.astype(np.float64) * rescale[0] + rescale[1]


def _rescale(dataset: Dataset) -> tuple[float, float] | None:
    """Slope and intercept; None if there are none, or only one that changes nothing."""
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    if slope is not None and intercept is not None:
        return slope, intercept
    if slope in (None, 1) and intercept in (None, 0):
        return None
    missing, there = ("RescaleIntercept", "RescaleSlope")[:: 1 if intercept is None else -1]
    raise UnreadableImage(f"DICOM tag {missing} is missing beside {there} {dataset.get(there)}")


def _windowed(values: np.ndarray, dataset: Dataset) -> np.ndarray:
    """VOI look-up: a table has priority over a window, and the first window over others."""
    if dataset.get("VOILUTSequence"):
        return _looked_up(values, dataset, "VOILUTSequence")
    centre, width = window(dataset) or (None, None)
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise UnreadableImage(f"DICOM tag VOILUTFunction is {function!r}; it must be LINEAR, LINEAR_EXACT or SIGMOID")
    # Some devices write a window of zero width for "no window", so it is ignored
    if centre is None or width is None or width < (1 if function == "LINEAR" else 0) or width == 0:
        return values
    low, high = _output_range(dataset)
    values = values.astype(np.float64)
    # PS3.3 C.11.2.1.2 and C.11.2.1.3
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return (high - low) / (1 + np.exp(-4 * (values - centre) / width)) + low
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    below, above = values <= centre - width / 2, values > centre + width / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        shown = ((values - centre) / width + 0.5) * (high - low) + low
    shown[below], shown[above] = low, high
    return shown


def window_exceeds(dataset: Dataset) -> bool:
    """Whether a grey picture has a VOI look-up for larger values than it can have, which darkens all that it has."""
    if dataset.get("VOILUTSequence"):
        return True
    centre, width = window(dataset) or (None, None)
    if centre is None or width is None or width < 1:
        return False
    low, high = _output_range(dataset)
    return centre - width / 2 > low + 1 and centre + width / 2 > high + 2


def _output_range(dataset: Dataset) -> tuple[float, float]:
    """Output range (low, high) of a window: the possible range of the values that it is applied to."""
    if dataset.get("ModalityLUTSequence"):
        return 0, 2 ** numbers(dataset.ModalityLUTSequence[0], "LUTDescriptor")[2] - 1
    low, high = value_range(dataset)
    slope, intercept = _rescale(dataset) or (1, 0)
    ends = [end * slope + intercept for end in (low, high)]
    return min(ends), max(ends)


def value_range(dataset: Dataset) -> tuple[int, int]:
    """The possible range (low, high) of stored values."""
    bits = int(dataset.get("BitsStored") or 16)
    signed = int(dataset.get("PixelRepresentation") or 0)
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def _looked_up(values: np.ndarray, dataset: Dataset, sequence: str) -> np.ndarray:
    """Map values through the first table of a sequence."""
    item = dataset[sequence][0]
    count, first = _descriptor(item, "LUTDescriptor", values)
    if item.get("LUTData") is None:
        raise UnreadableImage(f"DICOM tag {sequence} has no table")
    entries = _entries(item.LUTData, count, sequence, dataset)
    return _through(values, first, entries)


def _through(values: np.ndarray, first: int, entries: np.ndarray) -> np.ndarray:
    """Map values through a table. Values below its range get the first entry, values above it the last entry."""
    return entries[np.clip(np.floor(values).astype(np.int64) - first, 0, len(entries) - 1)]


def _descriptor(item: Dataset, name: str, values: np.ndarray) -> tuple[int, int]:
    """Number of entries, and the value that the first entry belongs to."""
    described = numbers(item, name)
    if len(described) != 3:
        raise UnreadableImage(f"DICOM tag {name} is {item.get(name)!r}; it must be three whole numbers")
    # The tag has 16 bits and the signedness of the pixels; 65,536 entries are written as 0
    count, first = int(described[0]) % 2**16 or 2**16, int(described[1])
    if first >= 2**15 and values.min() < 0:
        first -= 2**16
    return count, first


def _entries(data: bytes | list[int], count: int, name: str, dataset: Dataset) -> np.ndarray:
    """The entries of a table, in bytes or 16-bit words. The data's length decides which, not the descriptor."""
    little = bool(dataset.file_meta.TransferSyntaxUID.is_little_endian)
    if not isinstance(data, bytes):
        words = np.asarray(data, np.int64).ravel() & 0xFFFF
        data, little = words.astype("<u2").tobytes(), True
    if len(data) >= 2 * count:
        return np.frombuffer(data, "<u2" if little else ">u2", count)
    if len(data) in (count, count + 1):
        # A word contains two entries, the first one in its lower byte
        if not little:
            data = np.frombuffer(data, ">u2").astype("<u2").tobytes()
        return np.frombuffer(data, np.uint8, count)
    raise UnreadableImage(f"DICOM table {name} of {count} entries has {len(data)} bytes")


def palette_grey(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Luma of the palette colours of the stored indices, float32 [H, W]."""
    tables = [f"{colour}PaletteColorLookupTable" for colour in COLOURS]
    if any(f"{table}Descriptor" not in dataset for table in tables):
        raise UnreadableImage("DICOM in PALETTE COLOR without its palette")
    described = {_descriptor(dataset, f"{table}Descriptor", stored) for table in tables}
    if len(described) != 1:
        raise UnreadableImage("DICOM palettes of red, green and blue that differ in length")
    count, first = described.pop()
    if f"{tables[0]}Data" in dataset:
        parts = [_entries(dataset[f"{table}Data"].value, count, table, dataset) for table in tables]
        colours = np.stack(parts, axis=-1)
    else:
        # The palette is stored in segments, which pydicom expands
        bits = int(numbers(dataset, f"{tables[0]}Descriptor")[2])
        if bits not in (8, 16):
            raise UnreadableImage(f"DICOM palette in segments of {bits} bits; 8 and 16 are read")
        colours = apply_color_lut(np.arange(first, first + count), dataset)[..., :3]
    if colours.dtype != np.uint8:
        colours = colours.astype(np.uint16)
    luma = cv2.cvtColor(np.ascontiguousarray(colours[:, None]), cv2.COLOR_RGB2GRAY).ravel()
    return _through(stored, first, luma).astype(np.float32)
