"""Read tags of a DICOM file as numbers, including values that violate the standard but are unambiguous."""

import math
import re
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from trcgl.images.unreadable import UnreadableImage

SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")
"""Tags with the height and width of a pixel; the first one that is present counts."""
SQUARE = 0.01
"""Pixels count as square below this deviation of the ratio from 1, because spacings are rounded."""
LONGEST = 8
"""Largest ratio of a pixel's sides. No detector has longer pixels, so a larger ratio is an error in the file."""
SHARED = (
    "PixelValueTransformationSequence", "FrameVOILUTSequence", "PixelMeasuresSequence", "FrameDisplayShutterSequence"
)  # fmt: skip
THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(,\d{3})+")


def required(dataset: Dataset, name: str, *, least: int = 1) -> int:
    """The value of a required tag, a whole number not below `least`.

    Raises:
        UnreadableImage: the tag is missing or has another value.
    """
    value = dataset.get(name)
    if not isinstance(value, int) or value < least:
        raise UnreadableImage(f"DICOM tag {name} is {'missing' if value is None else repr(value)}; the pixels need it")
    return value


def numbers(dataset: Dataset, name: str) -> list[float]:
    """The values of a tag; none if it is missing or empty.

    Raises:
        UnreadableImage: a value is not a finite number. A decimal comma is read, unless it may separate thousands.
    """
    return [one for one in _places(dataset, name) if one is not None]


def window(dataset: Dataset) -> tuple[float, float] | None:
    """Centre and width of the first window that has both; None if there is none.

    Centres and widths are paired by position; a value may be empty.
    """
    # Not strict: a centre without a width, or a width without a centre, is ignored
    pairs = zip(_places(dataset, "WindowCenter"), _places(dataset, "WindowWidth"), strict=False)
    return next(((centre, width) for centre, width in pairs if centre is not None and width is not None), None)


def _places(dataset: Dataset, name: str) -> list[float | None]:
    """The values of a tag in their order; None for an empty one."""
    value = dataset.get(name)
    values: list[Any] = list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]
    return [_number(one, name) if one is not None and str(one).strip() else None for one in values]


def number(dataset: Dataset, name: str) -> float | None:
    """The first value of a tag; None if there is none."""
    values = numbers(dataset, name)
    return values[0] if values else None


def _number(value: Any, name: str) -> float:
    text = str(value).strip().strip("\0")
    if text.count(",") == 1 and "." not in text and not THOUSANDS.fullmatch(text):
        text = text.replace(",", ".")
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    # 1e400 is infinite, too
    if not math.isfinite(found):
        raise UnreadableImage(f"DICOM tag {name} is {str(value)[:40]!r}; it must be a number such as 2047.5")
    return found


def overlay_bits(dataset: Dataset) -> list[int]:
    """The bits of a cell that hold an overlay, by the tags of overlays (60xx) that have no data of their own."""
    groups = range(0x6000, 0x6020, 2)
    named = [dataset.get((group, 0x0102)) for group in groups if (group, 0x3000) not in dataset]
    return [int(element.value) for element in named if element is not None and isinstance(element.value, int)]


def lift_shared_tags(dataset: Dataset) -> None:
    """Copy rescale, window, spacing and shutter from the functional groups of an enhanced object to its top level.

    This is correct because there is only one frame. Existing tags are not replaced, unless they are empty.
    """
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in (dataset.get(groups) or [])[:1]:
            for item in (inner for name in SHARED for inner in (group.get(name) or [])[:1]):
                for element in item:
                    if element.tag not in dataset or dataset[element.tag].is_empty:
                        dataset.add(element)


def pixel_ratio(dataset: Dataset) -> float:
    """Height of a pixel divided by its width; 1 if they are (nearly) equal or not stated."""
    for name in SPACINGS:
        values = numbers(dataset, name)
        if not values:
            continue
        if len(values) != 2 or min(values) <= 0 or not 1 / LONGEST <= values[0] / values[1] <= LONGEST:
            raise UnreadableImage(f"DICOM tag {name} is {dataset.get(name)!r}; it must be a pixel's height and width")
        ratio = values[0] / values[1]
        return 1 if abs(ratio - 1) < SQUARE else ratio
    return 1
