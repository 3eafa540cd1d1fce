"""Convert a file to the 8-bit squares that a network reads, with the same steps in cache, evaluation and prediction."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trcgl.artifacts import preparation as artifacts
from trcgl.images.decode import decode
from trcgl.images.resize import resize_square, window_to_uint8


def read_squares(
    path: str | Path, preparation: artifacts.Preparation, sizes: Sequence[int], *, inverted: bool = False
) -> list[np.ndarray]:
    """Decode one file once, and return it as uint8 [S, S] for each size S.

    Args:
        inverted: whether the label table says that the image is MONOCHROME1.

    Raises:
        UnreadableImage: see `decode`.
    """
    pixels = window_to_uint8(decode(path, inverted=inverted), preparation.window_low, preparation.window_high)
    squares = {size: resize_square(pixels, size, preparation.resize) for size in set(sizes)}
    return [squares[size] for size in sizes]


class Preparation(artifacts.Preparation):
    """For use from Python: read a file as a network's input, without loading a model."""

    def read(self, path: str | Path, sizes: Sequence[int], *, inverted: bool = False) -> list[np.ndarray]:
        """See `read_squares`."""
        return read_squares(path, self, sizes, inverted=inverted)
