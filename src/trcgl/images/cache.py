"""Decode every selected image once and keep it small: uint8 shards of every size asked for from one decode."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.config import ImagesParams
from trcgl.images.decode import UnreadableImage
from trcgl.images.preparation import Preparation
from trcgl.images.shards import ShardWriter
from trcgl.images.workers import pixel_workers
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import directory_beside, write_parquet
from trcgl.runtime.logging import get_logger, progress

log = get_logger("cache")


@dataclass(frozen=True)
class _Task:
    image: str
    path: str
    file: Path
    inverted: bool


def cache_images(selected: pd.DataFrame, source: str | Path, params: ImagesParams, out: Path, workers: int) -> None:
    """Write `out/classifier/`, `out/diffusion/` and `out/unreadable.parquet`; see `write_cache`."""
    sizes = {"classifier": params.classifier_size, "diffusion": params.diffusion_size}
    write_cache(selected, source, sizes, Preparation.from_params(params), params.shard_images, out, workers)


def write_cache(
    selected: pd.DataFrame,
    source: str | Path,
    sizes: Mapping[str, int],
    preparation: Preparation,
    shard_images: int,
    out: Path,
    workers: int,
) -> None:
    """Write a folder of shards (with their index) for every size, and `out/unreadable.parquet` (path, reason).

    Args:
        selected: image, path (relative to `source`), photometric (MONOCHROME1 is inverted), in the order to store.
        source: folder the paths start from.
        sizes: folder below `out` -> side in pixels.
        preparation: window and resize mode.
        shard_images: images in a full shard.
        out: replaced as a whole.
        workers: processes that decode; the result does not depend on their number.

    Raises:
        InputError: not one image could be read.
    """
    source = Path(source)
    tasks = [
        _Task(image, path, source / path, photometric == "MONOCHROME1")
        for image, path, photometric in zip(selected["image"], selected["path"], selected["photometric"], strict=True)
    ]
    unreadable: list[tuple[str, str]] = []
    with directory_beside(out) as beside:
        writers = {}
        for name, size in sizes.items():
            (beside / name).mkdir()
            writers[name] = ShardWriter(beside / name, size, shard_images)
        results = _results(tasks, preparation, tuple(sizes.values()), workers)
        for task, result in progress(results, total=len(tasks), what="cache images"):
            if isinstance(result, str):
                unreadable.append((task.path, result))
                continue
            for writer, pixels in zip(writers.values(), result, strict=True):
                writer.add(task.image, pixels)
        if len(unreadable) == len(tasks):
            first = f"{source / unreadable[0][0]}: {unreadable[0][1]}" if unreadable else "no image was selected"
            raise InputError(f"{source}: none of {len(tasks)} images could be read; the first: {first}")
        for writer in writers.values():
            writer.close()
        write_parquet(beside / "unreadable.parquet", pd.DataFrame(unreadable, columns=["path", "reason"], dtype="str"))
    log.info("%d images cached, %d unreadable", len(tasks) - len(unreadable), len(unreadable))
    for path, reason in unreadable[:10]:
        log.info("unreadable: %s: %s", path, reason)


def _results(
    tasks: list[_Task], preparation: Preparation, sizes: tuple[int, ...], workers: int
) -> Iterator[tuple[_Task, list[np.ndarray] | str]]:
    """Results in the order of the tasks, with a bounded number in flight, so memory does not grow with the set."""
    if workers == 1:
        for task in tasks:
            yield task, _decode_one(task, preparation, sizes)
        return
    with pixel_workers(workers) as pool:
        waiting = iter(tasks)
        chunk = 16
        in_flight = []
        while True:
            while len(in_flight) < 4 * workers and (part := list(islice(waiting, chunk))):
                in_flight.append((part, pool.submit(_decode_many, part, preparation, sizes)))
            if not in_flight:
                return
            part, future = in_flight.pop(0)
            yield from zip(part, future.result(), strict=True)


def _decode_many(tasks: list[_Task], preparation: Preparation, sizes: tuple[int, ...]) -> list[list[np.ndarray] | str]:
    return [_decode_one(task, preparation, sizes) for task in tasks]


def _decode_one(task: _Task, preparation: Preparation, sizes: tuple[int, ...]) -> list[np.ndarray] | str:
    """Every size of one image, or the reason why not."""
    try:
        return preparation.read(task.file, sizes, inverted=task.inverted)
    except UnreadableImage as error:
        return str(error)
