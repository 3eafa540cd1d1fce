"""Images by row number: stored on disk or in memory, transformed when read, and prefetched one batch ahead."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import cv2
import numpy as np

from trcgl.artifacts.shards import ShardedImages

Job = TypeVar("Job")
Batch = TypeVar("Batch")


class Pixels(Protocol):
    """Images by row number; a uint8 array [N, S, S] fulfils this protocol."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        """int [n] -> uint8 [n, S, S]."""
        ...


class StoredPixels:
    """Rows from shards on disk, read on access, followed by those of other images (the synthetic ones)."""

    def __init__(self, shards: ShardedImages, names: Sequence[str], appended: Pixels | None = None):
        self._shards = shards
        self._names = np.array(names, dtype=object)
        self._appended = np.empty((0, shards.size, shards.size), np.uint8) if appended is None else appended

    def __len__(self) -> int:
        return len(self._names) + len(self._appended)

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        pixels = np.empty((len(rows), self._shards.size, self._shards.size), dtype=np.uint8)
        stored = rows < len(self._names)
        pixels[stored] = self._shards.read(self._names[rows[stored]].tolist())
        pixels[~stored] = self._appended[rows[~stored] - len(self._names)]
        return pixels


@dataclass(frozen=True)
class ChangedPixels:
    """Images to which `change` is applied when they are read: uint8 [n, S, S] -> [n, T, T]."""

    images: Pixels
    change: Callable[[np.ndarray], np.ndarray]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        return self.change(self.images[rows])


@dataclass(frozen=True)
class PixelRows:
    """Some of the images, by their row numbers (int [n])."""

    images: Pixels
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        return self.images[self.rows[rows]]


def scaled(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """[H, W] -> [height, width] of the same dtype: area averaging to shrink, bilinear interpolation to enlarge."""
    # Area averaging is the only OpenCV mode that does not alias when shrinking by large factors
    method = cv2.INTER_AREA if width <= picture.shape[1] else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=method)


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 [n, S, S] -> [n, size, size]; see `scaled`."""
    if images.shape[-1] == size:
        return images
    squares = np.empty((len(images), size, size), images.dtype)
    for square, image in zip(squares, images, strict=True):
        square[:] = scaled(image, size, size)
    return squares


def stored_and_resized(folder: Path, names: Sequence[str], size: int) -> Pixels:
    """The named images in a folder of shards, resized to `size` when they are read; the folder may lack shards if no
    image is named."""
    if not len(names):
        return np.empty((0, size, size), np.uint8)
    return ChangedPixels(StoredPixels(ShardedImages(folder), names), partial(resized, size=size))


def prefetched(jobs: Sequence[Job], read: Callable[[Job], Batch]) -> Iterator[Batch]:
    """Call `read` for every job in order, in a thread that is one job ahead of the consumer.

    A thread is enough: reading mostly copies memory, during which the interpreter's lock is released.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = pool.submit(read, jobs[0]) if jobs else None
        for following in [*jobs[1:], None]:
            if ahead is None:
                return
            batch = ahead.result()
            ahead = pool.submit(read, following) if following is not None else None
            yield batch
