"""A file as the 8-bit squares that a network reads: the same steps in the cache, in evaluation and in prediction."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trcgl.artifacts import preparation as artifacts
from trcgl.images.decode import decode
from trcgl.images.resize import resize_square, window_to_uint8


def read_squares(
    path: str | Path, preparation: artifacts.Preparation, sizes: Sequence[int], *, inverted: bool = False
) -> list[np.ndarray]:
    """One file, decoded once, as uint8 [S, S] for each size S.

    Args:
        inverted: whether the label table calls the image MONOCHROME1.

    Raises:
        UnreadableImage: see `decode`.
    """
    pixels = window_to_uint8(decode(path, inverted=inverted), preparation.window_low, preparation.window_high)
    squares = {size: resize_square(pixels, size, preparation.resize) for size in set(sizes)}
    return [squares[size] for size in sizes]


class Preparation(artifacts.Preparation):
    """For use from Python: what a network sees of a file, without a model."""

    def read(self, path: str | Path, sizes: Sequence[int], *, inverted: bool = False) -> list[np.ndarray]:
        """See `read_squares`."""
        return read_squares(path, self, sizes, inverted=inverted)
