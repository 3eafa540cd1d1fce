"""The display shutter of a DICOM file: the hidden area is made dark, as in a viewer."""

from collections.abc import Callable

import cv2
import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from trcgl.images.dicom_tags import numbers
from trcgl.images.unreadable import UnreadableImage

EDGES = (
    "ShutterLeftVerticalEdge", "ShutterRightVerticalEdge", "ShutterUpperHorizontalEdge", "ShutterLowerHorizontalEdge"
)  # fmt: skip


def shut(values: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Set the pixels that the shutter hides to the darkest grey of the visible ones.

    With several shapes, a pixel is hidden if any of them hides it. A shutter that would hide everything is ignored.
    """
    shapes = dataset.get("ShutterShape") or []
    hidden = np.zeros(values.shape, bool)
    for shape in shapes if isinstance(shapes, (MultiValue, list)) else [shapes]:
        name = str(shape).strip().upper()
        if name not in SHAPES:
            raise UnreadableImage(f"DICOM tag ShutterShape is {name!r}; it must be one of: {', '.join(SHAPES)}")
        hidden |= ~SHAPES[name](dataset, values.shape)
    if not hidden.any() or hidden.all():
        return values
    return np.where(hidden, values[~hidden].min(), values)


def _given(dataset: Dataset, name: str, count: int | None = None) -> list[float]:
    found = numbers(dataset, name)
    if not found or len(found) != (count or len(found)) or len(found) % (count or 2):
        what = "1 number" if count == 1 else f"{count} numbers" if count else "pairs of row and column"
        raise UnreadableImage(f"DICOM tag {name} is {dataset.get(name)!r}; its shutter needs {what}")
    return found


def _rectangle(dataset: Dataset, shape: tuple[int, int]) -> np.ndarray:
    left, right, upper, lower = (_given(dataset, name, 1)[0] for name in EDGES)
    row, column = _places(shape)
    return (column >= left) & (column <= right) & (row >= upper) & (row <= lower)


def _circle(dataset: Dataset, shape: tuple[int, int]) -> np.ndarray:
    centre = _given(dataset, "CenterOfCircularShutter", 2)
    radius = _given(dataset, "RadiusOfCircularShutter", 1)[0]
    row, column = _places(shape)
    return np.hypot(row - centre[0], column - centre[1]) <= radius


def _polygon(dataset: Dataset, shape: tuple[int, int]) -> np.ndarray:
    corners = np.array(_given(dataset, "VerticesOfThePolygonalShutter")).reshape(-1, 2)
    inside = np.zeros(shape, np.uint8)
    # OpenCV needs (column, row), counted from 0
    points = (corners[:, ::-1] - 1).clip(-(2**15), 2**15).round().astype(np.int32)
    cv2.fillPoly(inside, [points], 1)
    return inside.astype(bool) if len(corners) > 2 else np.zeros(shape, bool)


def _places(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each pixel, from 1 as DICOM counts them."""
    return np.arange(1, shape[0] + 1)[:, None], np.arange(1, shape[1] + 1)[None, :]


SHAPES: dict[str, Callable[[Dataset, tuple[int, int]], np.ndarray]] = {
    "RECTANGULAR": _rectangle, "CIRCULAR": _circle, "POLYGONAL": _polygon
}  # fmt: skip
