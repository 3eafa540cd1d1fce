"""Grey images in a few large files: `shard-00000.npy` (uint8 [n, S, S], memory-mapped) and `index.parquet`.

There are few large files, because a tracked folder of 160,000 small files costs minutes at every checkout. They are raw
arrays, because a memory-mapped read is hundreds of times cheaper than decoding. The index has a checksum of every
image: its own hash stands for the pixels, so that a training that is continued need not read them all.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap

from trcgl.runtime.damage import damage_explained, damaged
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_parquet, write_parquet


def shard_path(folder: str | Path, shard: int) -> Path:
    """The file of shard number `shard`, counted from 0."""
    return Path(folder) / f"shard-{shard:05d}.npy"


def _opened(path: Path, listed: int) -> np.ndarray:
    """Open a shard and check that it has at least the `listed` images of the index."""
    with damage_explained(path):
        pixels = open_memmap(path, mode="r")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[1] != pixels.shape[2]:
        raise damaged(path, f"{pixels.dtype} of shape {list(pixels.shape)} are not grey square images")
    if len(pixels) < listed:
        raise damaged(path, f"{len(pixels)} images, of which index.parquet lists {listed}")
    return pixels


def _checksum(pixels: np.ndarray) -> int:
    return zlib.crc32(pixels.tobytes())


SHARD_IMAGES = 4096
"""Images in a full shard: this gives few files, and limits the memory needed to write one."""


class ShardWriter:
    """Appends images to shards in a folder; `close` writes the index.

    Args:
        folder: an existing folder.
        size: side of the square images in pixels.
        shard_images: images in a full shard; the last one may be shorter.
        names: names of the images in the full shards that are already in the folder.
    """

    def __init__(self, folder: str | Path, size: int, shard_images: int = SHARD_IMAGES, names: Sequence[str] = ()):
        self.folder = Path(folder)
        self.size = size
        self.shard_images = shard_images
        self._names = list(names)
        kept = (open_memmap(shard_path(folder, shard), mode="r") for shard in range(len(names) // shard_images))
        self._checksums = [_checksum(pixels) for shard in kept for pixels in shard]
        self._pending: list[np.ndarray] = []

    def add(self, image: str, pixels: np.ndarray) -> None:
        """Append one image: uint8 [S, S]."""
        if pixels.shape != (self.size, self.size) or pixels.dtype != np.uint8:
            raise ValueError(f"{image}: {pixels.dtype} {pixels.shape}; expected uint8 ({self.size}, {self.size})")
        self._names.append(image)
        self._checksums.append(_checksum(pixels))
        self._pending.append(pixels)
        if len(self._pending) == self.shard_images:
            self._flush()

    def _flush(self) -> None:
        shard = (len(self._names) - 1) // self.shard_images
        np.save(shard_path(self.folder, shard), np.stack(self._pending))
        self._pending = []

    def close(self) -> None:
        """Write the last shard and the index [image, shard, row, crc32]."""
        if self._pending:
            self._flush()
        position = np.arange(len(self._names))
        index = pd.DataFrame(
            {
                "image": pd.Series(self._names, dtype="str"),
                "shard": position // self.shard_images,
                "row": position % self.shard_images,
                "crc32": np.array(self._checksums, np.int64),
            }
        )
        write_parquet(self.folder / "index.parquet", index)


class ShardedImages:
    """Read access to a folder of shards by image name.

    Attributes:
        index: DataFrame [image, shard, row, crc32 of the pixels], in storage order.
        size: side of the images in pixels; 0 for an empty folder.

    Raises:
        InputError: there is no index, the index or a shard is damaged, or they do not belong together.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        index_path = self.folder / "index.parquet"
        if not index_path.exists():
            raise InputError(f"{index_path}: not found; run dvc repro, which makes it and its shards")
        self.index = read_parquet(index_path, ["image", "shard", "row"])
        last = self.index.groupby("shard")["row"].max()
        listed = last.add(1).reindex(range(int(last.index.max()) + 1 if len(last) else 0), fill_value=0)
        self._shards = [_opened(shard_path(self.folder, shard), count) for shard, count in enumerate(listed)]
        self.size = int(self._shards[0].shape[1]) if self._shards else 0
        for shard, pixels in enumerate(self._shards):
            if pixels.shape[1] != self.size:
                raise damaged(shard_path(self.folder, shard), f"{pixels.shape[1]} px beside shards of {self.size} px")
        self._place = {
            name: (int(shard), int(row))
            for name, shard, row in zip(self.index["image"], self.index["shard"], self.index["row"], strict=True)
        }

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, image: str) -> bool:
        return image in self._place

    def __repr__(self) -> str:
        return f"ShardedImages({len(self)} images of {self.size} px in {len(self._shards)} shards, {self.folder})"

    def read(self, images: Sequence[str]) -> np.ndarray:
        """The named images in the given order.

        Returns:
            uint8 [n, S, S], a copy.

        Raises:
            KeyError: an image is not in the folder.
        """
        pixels = np.empty((len(images), self.size, self.size), dtype=np.uint8)
        for i, image in enumerate(images):
            shard, row = self._place[image]
            pixels[i] = self._shards[shard][row]
        return pixels
