"""Decode every selected image once, and store it at all sizes in uint8 shards.

Each finished shard is kept with a record of the progress. A run that continues after a kill does not decode it again.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.artifacts.preparation import Preparation
from trcgl.artifacts.shards import SHARD_IMAGES, ShardWriter, shard_path
from trcgl.config import ImagesParams
from trcgl.images.decode import UnreadableImage
from trcgl.images.manifest import check_inside
from trcgl.images.preparation import read_squares
from trcgl.runtime.disk import check_space
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import directory_beside, full_disk_explained, read_json, write_json, write_parquet
from trcgl.runtime.logging import get_logger, progress
from trcgl.runtime.resume_folder import file_hash
from trcgl.runtime.workers import pixel_workers

log = get_logger("cache")


@dataclass(frozen=True)
class _Task:
    """One image: its name and its file, as a path relative to a folder."""

    image: str
    path: str
    folder: Path
    inverted: bool

    @property
    def file(self) -> Path:
        return self.folder / self.path


def cache_images(
    selected: pd.DataFrame, source: str | Path, params: ImagesParams, out: Path, workers: int, *, kept: Path
) -> None:
    """Write `out/classifier/`, `out/diffusion/` and `out/unreadable.parquet`; see `write_cache`."""
    sizes = {"classifier": params.classifier_size, "diffusion": params.diffusion_size}
    write_cache(selected, source, sizes, Preparation.from_params(params), SHARD_IMAGES, out, workers, kept=kept)


def write_cache(
    selected: pd.DataFrame,
    source: str | Path,
    sizes: Mapping[str, int],
    preparation: Preparation,
    shard_images: int,
    out: Path,
    workers: int,
    *,
    kept: Path,
) -> None:
    """Write a folder of shards (with their index) for every size, and `out/unreadable.parquet` (path, reason).

    Args:
        selected: columns image, path (relative to `source`), photometric (MONOCHROME1 is inverted); rows are stored in
            this order.
        source: the folder that paths are relative to.
        sizes: folder below `out` -> side in pixels.
        preparation: window and resize mode.
        shard_images: images in a full shard.
        out: replaced as a whole.
        workers: processes that decode; the result does not depend on their number.
        kept: folder with the finished shards of an interrupted run with the same arguments; deleted at the end.

    Raises:
        InputError: not one image could be read, or the disk has no room for all of them.
    """
    source = Path(source)
    tasks = [
        _Task(image, path, source, photometric == "MONOCHROME1")
        for image, path, photometric in zip(selected["image"], selected["path"], selected["photometric"], strict=True)
    ]
    done = _finished(kept, sizes)
    if done.tasks:
        log.info("continuing after %d of %d images", done.tasks, len(tasks))
    pixels_each = sum(size**2 for size in sizes.values())
    check_space(kept, (len(tasks) - done.tasks) * pixels_each, f"{len(tasks) - done.tasks} images")
    lost = {path for path, _ in done.unreadable}
    names = [task.image for task in tasks[: done.tasks] if task.path not in lost]
    writers = {}
    for name, size in sizes.items():
        (kept / name).mkdir(parents=True, exist_ok=True)
        writers[name] = ShardWriter(kept / name, size, shard_images, names)
    with full_disk_explained(kept):
        results = _results(tasks[done.tasks :], preparation, tuple(sizes.values()), workers)
        for task, result in progress(results, total=len(tasks) - done.tasks, what="cache images"):
            done.tasks += 1
            if isinstance(result, str):
                done.unreadable.append((task.path, result))
                continue
            for writer, pixels in zip(writers.values(), result, strict=True):
                writer.add(task.image, pixels)
            if (done.tasks - len(done.unreadable)) % shard_images == 0:
                _record(kept, sizes, done)
        if len(done.unreadable) == len(tasks):
            first = "no image was selected"
            if tasks:
                first = f"{source / done.unreadable[0][0]}: {done.unreadable[0][1]}"
            raise InputError(f"{source}: none of {len(tasks)} images could be read; the first: {first}")
        for writer in writers.values():
            writer.close()
    cached = [len(pd.read_parquet(kept / name / "index.parquet", columns=["row"])) for name in sizes]
    assert set(cached) == {len(tasks) - len(done.unreadable)}, "images in = cached + unreadable"
    with directory_beside(out) as beside:
        for name in sizes:
            shutil.move(kept / name, beside / name)
        unreadable = pd.DataFrame(done.unreadable, columns=["path", "reason"], dtype="str")
        write_parquet(beside / "unreadable.parquet", unreadable)
    shutil.rmtree(kept)
    log.info("%d images cached, %d unreadable", cached[0], len(unreadable))
    for path, reason in done.unreadable[:10]:
        log.info("unreadable: %s: %s", path, reason)


@dataclass
class _Done:
    """Progress: images processed, those of them that could not be read, and full shards."""

    tasks: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    shards: int = 0


def _record(kept: Path, sizes: Mapping[str, int], done: _Done) -> None:
    """Write a record beside the shard that has just become full."""
    hashes = {name: file_hash(shard_path(kept / name, done.shards)) for name in sizes}
    record = {"tasks": done.tasks, "unreadable": done.unreadable, "hashes": hashes}
    write_json(_record_path(kept, done.shards), record)
    done.shards += 1


def _record_path(kept: Path, shard: int) -> Path:
    return kept / f"shard-{shard:05d}.json"


def _finished(kept: Path, sizes: Mapping[str, int]) -> _Done:
    """The progress up to the first shard that is missing or damaged: a crash may have cut some short."""
    done = _Done()
    while (path := _record_path(kept, done.shards)).exists():
        try:
            record = read_json(path)
            for name in sizes:
                if file_hash(shard_path(kept / name, done.shards)) != record["hashes"][name]:
                    raise ValueError
            unreadable = [(str(image), str(reason)) for image, reason in record["unreadable"]]
            done = _Done(int(record["tasks"]), unreadable, done.shards + 1)
        except (OSError, ValueError, KeyError, TypeError, InputError):
            log.warning("%s or its shards are damaged; their images and all later ones are decoded again", path)
            break
    return done


def _results(
    tasks: list[_Task], preparation: Preparation, sizes: tuple[int, ...], workers: int
) -> Iterator[tuple[_Task, list[np.ndarray] | str]]:
    """Results in the order of the tasks. Few are in flight at a time, so memory does not grow with the data set."""
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
    """One image in every size, or the reason why it cannot be read."""
    try:
        check_inside(task.path)
        return read_squares(task.file, preparation, sizes, inverted=task.inverted)
    except UnreadableImage as error:
        return str(error)
