"""Shards of random pixels, in the form of the image cache."""

from pathlib import Path

import numpy as np

from trcgl.artifacts.shards import ShardedImages, ShardWriter
from trcgl.numerics.seeding import rng

DIFFERENT = 64
"""Number of different images; further ones repeat them, because drawing pixels takes longer than writing them."""


def random_shards(folder: Path, size: int, count: int, shard_images: int = 4096) -> tuple[ShardedImages, list[str]]:
    """Write `count` images of `size` x `size` pixels to a new folder; returns them and their names."""
    folder.mkdir()
    writer, names = ShardWriter(folder, size, shard_images), [f"{i}.png" for i in range(count)]
    pixels = rng("pixels").integers(0, 256, (DIFFERENT, size, size), dtype=np.uint8)
    for i, name in enumerate(names):
        writer.add(name, pixels[i % len(pixels)])
    writer.close()
    return ShardedImages(folder), names
