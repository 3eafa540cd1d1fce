"""A canvas in the chest's own frame: x from -0.5 (the patient's right) to 0.5, y from 0 (neck) to 1 (abdomen).

Structures are drawn with OpenCV as 8-bit coverage layers and added to a map of attenuation (dimensionless line
integrals, mu times thickness). One affine transform from chest to pixels contains the patient's size, roll and shift.
"""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

# Arrays of size x size: coverage 0 to 255 (uint8), any quantity (float32), and a mask (bool)
Layer = np.ndarray
Map = np.ndarray
Mask = np.ndarray
Points = NDArray[np.floating] | Sequence[tuple[float, float]]

_SUBPIXEL_BITS = 4


class Canvas:
    """Attenuation of one image, `size` x `size`, with the chest placed by `zoom`, `roll` (radians) and `shift`."""

    def __init__(self, size: int, zoom: float = 1.0, roll: float = 0.0, shift: tuple[float, float] = (0.0, 0.0)):
        self.size = size
        self.zoom = zoom
        cos, sin = np.cos(roll) * zoom * size, np.sin(roll) * zoom * size
        matrix = np.array([[cos, -sin], [sin, cos]])
        offset = np.array([0.5 + shift[0], 0.5 + shift[1]]) * size
        # From chest coordinates to OpenCV's fixed-point pixels, whose centres are at whole numbers
        self._matrix = matrix.T * (1 << _SUBPIXEL_BITS)
        self._offset = (offset - matrix @ (0.0, 0.5) - 0.5) * (1 << _SUBPIXEL_BITS)
        inverse = np.linalg.inv(matrix)
        column = np.arange(size, dtype=np.float32) + 0.5
        dx, dy = column - offset[0], column - offset[1]
        # The chest coordinates of every pixel's centre; the chest's middle is at y = 0.5
        self.x: Map = (inverse[0, 0] * dx[None, :] + inverse[0, 1] * dy[:, None]).astype(np.float32)
        self.y: Map = (inverse[1, 0] * dx[None, :] + inverse[1, 1] * dy[:, None] + 0.5).astype(np.float32)
        self.attenuation: Map = np.zeros((size, size), np.float32)
        # Lung vessels have a map of their own, because air outside the lung hides them
        self.vessels: Map = np.zeros((size, size), np.float32)

    def layer(self) -> Layer:
        return np.zeros((self.size, self.size), np.uint8)

    def pixels(self, length: float) -> float:
        """Convert a length in chest units to pixels."""
        return length * self.zoom * self.size

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        array = points if isinstance(points, np.ndarray) else np.array(points)
        return np.rint(array @ self._matrix + self._offset).astype(np.int32)

    def line(self, layer: Layer, points: Points, width: float, level: float = 1.0) -> None:
        """Draw an open smooth line, `width` in chest units; below one pixel it gets fainter instead of thinner."""
        wide = self.pixels(width)
        color = 255 * level * min(1.0, max(wide, 0.25))
        cv2.polylines(layer, [self._fixed(points)], False, (color,), max(1, round(wide)), cv2.LINE_AA, _SUBPIXEL_BITS)

    def fill(self, layer: Layer, points: Points, level: float = 1.0) -> None:
        cv2.fillPoly(layer, [self._fixed(points)], (255 * level,), cv2.LINE_AA, _SUBPIXEL_BITS)

    def add(self, layer: Layer, amount: float, blur: float = 0.0) -> Map:
        """Add `amount` times the layer's coverage, which is returned; `blur`: standard deviation in chest units."""
        coverage = self.coverage(layer, blur)
        self.attenuation += amount * coverage
        return coverage

    def coverage(self, layer: Layer, blur: float = 0.0) -> Map:
        """The layer as float from 0 to 1, blurred."""
        return self.smooth(layer.astype(np.float32) * np.float32(1 / 255), blur)

    def smooth(self, values: Map, blur: float) -> Map:
        """Gaussian blur; a wide blur is computed on a coarser grid, with no visible difference."""
        sigma = self.pixels(blur)
        if sigma <= 0.2:
            return values
        if sigma < 4:
            return cv2.GaussianBlur(values, (0, 0), sigma)
        small = cv2.resize(values, (self.size // 4, self.size // 4), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), sigma / 4)
        return cv2.resize(small, (self.size, self.size), interpolation=cv2.INTER_LINEAR)

    def ellipsoid(self, cx: float, cy: float, rx: float, ry: float, angle: float = 0.0, hardness: float = 0.5) -> Map:
        """Thickness of an ellipsoid, 0 to 1 at its middle. A `hardness` below 0.5 is flatter with a sharper edge."""
        thickness = np.zeros_like(self.attenuation)
        # Computed only on the rows and columns that the ellipsoid can reach
        centre = self._fixed([(cx, cy)])[0] >> _SUBPIXEL_BITS
        reach = int(self.pixels(max(rx, ry))) + 2
        left, top = (max(int(value) - reach, 0) for value in centre)
        window = np.s_[top : max(int(centre[1]) + reach + 1, 0), left : max(int(centre[0]) + reach + 1, 0)]
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        dx, dy = self.x[window] - np.float32(cx), self.y[window] - np.float32(cy)
        u, v = (dx * cos + dy * sin) * np.float32(1 / rx), (dy * cos - dx * sin) * np.float32(1 / ry)
        inside = np.maximum(1 - u * u - v * v, 0)
        thickness[window] = np.sqrt(inside) if hardness == 0.5 else np.power(inside, np.float32(hardness))
        return thickness

    def cloud(self, rng: np.random.Generator, cells: int) -> Map:
        """Smooth noise with mean 0, standard deviation about 1 and `cells` bumps along a side."""
        coarse = rng.standard_normal((cells + 3, cells + 3), dtype=np.float32)
        return cv2.resize(coarse, (self.size, self.size), interpolation=cv2.INTER_CUBIC) * np.float32(1.4)


def curve(points: Points, count: int = 24) -> NDArray[np.float64]:
    """A Catmull-Rom curve through `points`: count x 2."""
    return _curve_weights(len(points), count) @ np.asarray(points, np.float64)


@cache
def _curve_weights(given: int, count: int) -> NDArray[np.float64]:
    """The weight of each of `given` points in each of `count` samples of the curve: count x given."""
    extended = np.zeros((given + 2, given))
    extended[1:-1] = np.eye(given)
    extended[0, :2], extended[-1, -2:] = (2, -1), (-1, 2)
    position = np.linspace(0, given - 1 - 1e-9, count)
    index = position.astype(int)
    t = (position - index)[:, None]
    a, b, c, d = (extended[index + k] for k in range(4))
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def ring(x: float, y: float, rx: float, ry: float, count: int = 40) -> NDArray[np.float64]:
    """The outline of an ellipse: count x 2."""
    turn = np.linspace(0, 2 * np.pi, count)
    return np.stack([x + rx * np.cos(turn), y + ry * np.sin(turn)], 1)


def moved(points: NDArray[np.float64], x: float, y: float) -> NDArray[np.float64]:
    return points + np.array((x, y))
