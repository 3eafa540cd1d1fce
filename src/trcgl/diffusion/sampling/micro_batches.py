"""The plan is split into micro-batches, which the processes share. Each is kept as a file until all are finished.

The images of a micro-batch depend on the plan alone. So they are bit-identical for any number of processes, and also
after a run that was killed and started again.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from trcgl.artifacts.shards import ShardedImages
from trcgl.config import SamplingParams
from trcgl.diffusion.generator.rows import TrainingRows
from trcgl.diffusion.generator.saved import Generator
from trcgl.diffusion.sampling.counts import images_of
from trcgl.diffusion.sampling.grafted_plan import Regions
from trcgl.diffusion.sampling.kept import keep, kept
from trcgl.diffusion.sampling.plan import Sample
from trcgl.diffusion.sampling.sample import draw
from trcgl.runtime.disk import check_space
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger, progress
from trcgl.runtime.memory import naming_the_knob

log = get_logger("diffusion")


def batch_files(plan: Sequence[Sample], params: SamplingParams, folder: Path) -> list[Path]:
    """The file of each micro-batch of the plan, in plan order."""
    return [folder / f"from-{start:06d}.npz" for start in range(0, len(plan), params.micro_batch)]


def check_room(rows: TrainingRows, size: int, params: SamplingParams, folder: Path) -> None:
    """Raise InputError unless the disk has room for all images twice: once in micro-batches and once in shards."""
    count = sum(images_of(len(films), params) for films in rows.carriers.values())
    there = sum(file.stat().st_size for file in folder.glob("from-*.npz"))
    check_space(folder, 2 * count * size**2 - there, f"{count} drawn images")


def draw_share(
    generator: Generator,
    plan: Sequence[Sample],
    images: ShardedImages,
    params: SamplingParams,
    folder: Path,
    *,
    regions: Regions | None = None,
    process: int = 0,
    processes: int = 1,
) -> None:
    """Generate the missing micro-batches of one process. Micro-batch k belongs to process k mod `processes`.

    Args:
        images: hold the samples' carriers and sources.
        folder: stores the finished micro-batches; the same one for all processes.
        regions: contain the regions of all samples with a source; None: no sample has a source.
    """
    share = list(enumerate(batch_files(plan, params, folder)))[process::processes]
    missing = [(number, file) for number, file in share if kept(file) is None]
    began, drawn = time.perf_counter(), 0
    # One progress bar is enough, because all processes have equal shares
    for number, file in progress(missing, what="sampling") if process == 0 else missing:
        with naming_the_knob("'sampling.micro_batch'"):
            pixels = draw(generator, plan[number * params.micro_batch :][: params.micro_batch], params, images, regions)
        keep(file, pixels)
        drawn += len(pixels)
    seconds = time.perf_counter() - began
    log.info(
        "process %d of %d drew %d images in %.1f s, %.2f images/s; %d of its %d micro-batches were already there",
        process + 1, processes, drawn, seconds, drawn / seconds, len(share) - len(missing), len(share),
    )  # fmt: skip


def kept_images(plan: Sequence[Sample], params: SamplingParams, folder: Path) -> Iterator[np.ndarray]:
    """The generated images in plan order, uint8 [size, size] each. Only one micro-batch is in memory at a time.

    Raises:
        InputError: a micro-batch is missing, for example because the processes' machines do not share the folder.
    """
    for file in batch_files(plan, params, folder):
        pixels = kept(file)
        if pixels is None:
            raise InputError(f"{file}: not there after all processes drew; they must share this folder")
        yield from pixels
