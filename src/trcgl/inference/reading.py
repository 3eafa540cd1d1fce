"""Read image files in batches. They are decoded in advance, with a limited number of images in memory."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from trcgl.artifacts.preparation import Preparation
from trcgl.images.decode import UnreadableImage
from trcgl.images.listing import SPECIAL
from trcgl.images.preparation import read_squares
from trcgl.runtime.cores import usable_cores


@dataclass(frozen=True)
class ReadBatch:
    """A batch of images in their order, and the files that could not be read.

    Attributes:
        paths: paths of the n images that could be read.
        pictures: one array uint8 [n, S, S] for each requested size S.
        unreadable: (path, reason) of the other files.
    """

    paths: list[Path]
    pictures: list[np.ndarray]
    unreadable: list[tuple[Path, str]]


def read_batches(
    paths: Sequence[Path],
    preparation: Preparation,
    sizes: Sequence[int],
    batch_size: int,
    *,
    inverted: bool = False,
) -> Iterator[ReadBatch]:
    """Decode every image once, in batches of `batch_size` files; at most two batches are decoded in advance.

    It uses threads, not processes: the libraries release the interpreter lock while they decode, and a user's script
    then needs no `if __name__ == "__main__"`.

    Args:
        inverted: see `decode`.
    """

    def read(path: Path) -> list[np.ndarray] | str:
        try:
            if path.exists() and not (path.is_file() or path.is_dir()):
                # Reading a device may never end, and reading a pipe may block
                return f"{SPECIAL}; save the picture to a file first"
            return read_squares(path, preparation, sizes, inverted=inverted)
        except UnreadableImage as error:
            return str(error)
        except OSError as error:  # a folder that may not be entered, a name that is too long
            return f"cannot be read: {error.strerror}"

    waiting = iter(paths)
    pending: deque[tuple[Path, Future[list[np.ndarray] | str]]] = deque()
    with ThreadPoolExecutor(usable_cores()) as pool:
        try:
            while True:
                ahead = islice(waiting, 2 * batch_size - len(pending))
                pending.extend((path, pool.submit(read, path)) for path in ahead)
                if not pending:
                    return
                part = [pending.popleft() for _ in range(min(batch_size, len(pending)))]
                yield _batch([(path, future.result()) for path, future in part], sizes)
        finally:
            # A caller that stops early does not wait for images that it will not use
            pool.shutdown(wait=False, cancel_futures=True)


def _batch(results: list[tuple[Path, list[np.ndarray] | str]], sizes: Sequence[int]) -> ReadBatch:
    read = [(path, result) for path, result in results if not isinstance(result, str)]
    pictures = [np.empty((len(read), size, size), np.uint8) for size in sizes]
    for row, (_, result) in enumerate(read):
        for stack, picture in zip(pictures, result, strict=True):
            stack[row] = picture
    return ReadBatch(
        paths=[path for path, _ in read],
        pictures=pictures,
        unreadable=[(path, result) for path, result in results if isinstance(result, str)],
    )
