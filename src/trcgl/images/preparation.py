"""How a file becomes the 8-bit square that a network reads: the same steps in the cache, in evaluation and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trcgl.config import ImagesParams
from trcgl.images.decode import decode
from trcgl.images.resize import resize_square, window_to_uint8


@dataclass(frozen=True)
class Preparation:
    """What is decided about pixels but for their number; a saved classifier carries it.

    Attributes:
        window_low, window_high: percentiles shown as black and white, 0..100.
        resize: `pad` or `crop`; see `resize_square`.
    """

    window_low: float
    window_high: float
    resize: str

    @classmethod
    def from_params(cls, params: ImagesParams) -> "Preparation":
        return cls(params.window_low, params.window_high, params.resize)

    def read(self, path: str | Path, sizes: Sequence[int], *, inverted: bool = False) -> list[np.ndarray]:
        """One file, decoded once, as a uint8 [S, S] for each size S.

        Args:
            inverted: the label table calls the image MONOCHROME1.

        Raises:
            UnreadableImage: see `decode`.
        """
        pixels = window_to_uint8(decode(path, inverted=inverted), self.window_low, self.window_high)
        squares = {size: resize_square(pixels, size, self.resize) for size in set(sizes)}
        return [squares[size] for size in sizes]
