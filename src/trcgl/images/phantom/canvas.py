"""A canvas in the chest's own frame: x from -0.5 (the patient's right) to 0.5, y from 0 (neck) to 1 (abdomen).

Structures are drawn as 8-bit coverage layers with OpenCV and added to a map of attenuation (dimensionless line
integrals, mu times thickness). One affine map from chest to pixels carries the patient's size, roll and shift.
"""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

Layer = NDArray[np.uint8]
Map = NDArray[np.float32]
Mask = NDArray[np.bool_]
Points = NDArray[np.floating] | Iterable[tuple[float, float]]

_SUBPIXEL_BITS = 4


class Canvas:
    """Attenuation of one image, `size` x `size`, with the chest placed by `zoom`, `roll` (radians) and `shift`."""

    def __init__(self, size: int, zoom: float = 1.0, roll: float = 0.0, shift: tuple[float, float] = (0.0, 0.0)):
        self.size = size
        self.zoom = zoom
        cos, sin = np.cos(roll) * zoom * size, np.sin(roll) * zoom * size
        self._matrix = np.array([[cos, -sin], [sin, cos]])
        self._offset = np.array([0.5 + shift[0], 0.5 + shift[1]]) * size
        inverse = np.linalg.inv(self._matrix)
        column = np.arange(size, dtype=np.float32) + 0.5
        dx, dy = column - self._offset[0], column - self._offset[1]
        # The chest coordinates of every pixel's centre; y is measured from the chest's middle, 0.5
        self.x: Map = (inverse[0, 0] * dx[None, :] + inverse[0, 1] * dy[:, None]).astype(np.float32)
        self.y: Map = (inverse[1, 0] * dx[None, :] + inverse[1, 1] * dy[:, None] + 0.5).astype(np.float32)
        self.attenuation: Map = np.zeros((size, size), np.float32)
        # Lung vessels are kept apart: air outside the lung hides them
        self.vessels: Map = np.zeros((size, size), np.float32)

    def layer(self) -> Layer:
        return np.zeros((self.size, self.size), np.uint8)

    def pixels(self, length: float) -> float:
        """A chest length in pixels."""
        return length * self.zoom * self.size

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        array = np.asarray(points if isinstance(points, np.ndarray) else list(points), np.float64)
        placed = (array - (0.0, 0.5)) @ self._matrix.T + self._offset - 0.5
        return np.round(placed * (1 << _SUBPIXEL_BITS)).astype(np.int32)

    def line(self, layer: Layer, points: Points, width: float, level: float = 1.0) -> None:
        """An open smooth line, `width` in chest units; widths under a pixel get fainter instead of thinner."""
        wide = self.pixels(width)
        color = 255 * level * min(1.0, max(wide, 0.25))
        cv2.polylines(
            layer, [self._fixed(points)], False, (color,), max(1, round(wide)), cv2.LINE_AA, _SUBPIXEL_BITS
        )

    def fill(self, layer: Layer, points: Points, level: float = 1.0) -> None:
        cv2.fillPoly(layer, [self._fixed(points)], (255 * level,), cv2.LINE_AA, _SUBPIXEL_BITS)

    def add(self, layer: Layer, amount: float, blur: float = 0.0) -> Map:
        """Add `amount` where the layer is full; `blur` is a chest length (standard deviation). Returns the coverage."""
        coverage = self.coverage(layer, blur)
        self.attenuation += amount * coverage
        return coverage

    def coverage(self, layer: Layer, blur: float = 0.0) -> Map:
        """The layer as float 0 to 1, blurred."""
        return self.smooth(layer.astype(np.float32) * np.float32(1 / 255), blur)

    def smooth(self, values: Map, blur: float) -> Map:
        """Gaussian blur; wide ones are done on a smaller grid, which cannot be told from the full one."""
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
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        dx, dy = self.x - np.float32(cx), self.y - np.float32(cy)
        u, v = (dx * cos + dy * sin) * np.float32(1 / rx), (dy * cos - dx * sin) * np.float32(1 / ry)
        inside = np.maximum(1 - u * u - v * v, 0)
        return np.sqrt(inside) if hardness == 0.5 else np.power(inside, np.float32(hardness))

    def cloud(self, rng: np.random.Generator, cells: int) -> Map:
        """Smooth noise, mean 0 and deviation about 1, with `cells` bumps along a side."""
        coarse = rng.standard_normal((cells + 3, cells + 3), dtype=np.float32)
        return cv2.resize(coarse, (self.size, self.size), interpolation=cv2.INTER_CUBIC) * np.float32(1.4)


def curve(points: Points, count: int = 24) -> NDArray[np.float64]:
    """A Catmull-Rom curve through `points`, about `count` samples."""
    given = np.asarray(points if isinstance(points, np.ndarray) else list(points), np.float64)
    padded = np.vstack([2 * given[0] - given[1], given, 2 * given[-1] - given[-2]])
    position = np.linspace(0, len(given) - 1 - 1e-9, count)
    index = position.astype(int)
    t = (position - index)[:, None]
    a, b, c, d = (padded[index + i] for i in range(4))
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
