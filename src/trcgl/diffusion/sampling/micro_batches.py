"""The plan in micro-batches: shared out between processes, each kept as a file until all of them are there.

The files are .npz, whose checksum shows when a crash of the machine has damaged one: it is drawn again. Which images
are in a micro-batch depends on the plan alone, so neither the number of processes nor when a run was killed changes a
bit of them.
"""

import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from trcgl.artifacts.shards import ShardedImages
from trcgl.config import SamplingParams
from trcgl.diffusion.generator.saved import Generator
from trcgl.diffusion.sampling.grafted_plan import Regions
from trcgl.diffusion.sampling.plan import Sample
from trcgl.diffusion.sampling.sample import draw
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import written_beside
from trcgl.runtime.logging import get_logger, progress
from trcgl.runtime.memory import naming_the_knob

log = get_logger("diffusion")


def batch_files(plan: Sequence[Sample], params: SamplingParams, kept: Path) -> list[Path]:
    """Where each micro-batch of the plan waits, in plan order."""
    return [kept / f"from-{start:06d}.npz" for start in range(0, len(plan), params.micro_batch)]


def draw_share(
    generator: Generator,
    plan: Sequence[Sample],
    images: ShardedImages,
    params: SamplingParams,
    kept: Path,
    *,
    regions: Regions | None = None,
    process: int = 0,
    processes: int = 1,
) -> None:
    """Draw the micro-batches of one process that are not kept yet: number k belongs to process k mod `processes`.

    Args:
        images: hold the samples' carriers and sources.
        kept: folder of the finished micro-batches, the same one for all processes.
        regions: have those of the samples with a source; None: no sample has one.
    """
    share = list(enumerate(batch_files(plan, params, kept)))[process::processes]
    missing = [(number, file) for number, file in share if _kept(file) is None]
    began, drawn = time.perf_counter(), 0
    # One bar is enough: the shares are equal
    for number, file in progress(missing, what="sampling") if process == 0 else missing:
        with naming_the_knob("'sampling.micro_batch'"):
            pixels = draw(generator, plan[number * params.micro_batch :][: params.micro_batch], params, images, regions)
        with written_beside(file) as beside:
            np.savez(beside, pixels=pixels)
        drawn += len(pixels)
    seconds = time.perf_counter() - began
    log.info(
        "process %d of %d drew %d images in %.1f s, %.2f images/s; %d of its %d micro-batches were already there",
        process + 1, processes, drawn, seconds, drawn / seconds, len(share) - len(missing), len(share),
    )  # fmt: skip


def kept_images(plan: Sequence[Sample], params: SamplingParams, kept: Path) -> Iterator[np.ndarray]:
    """The drawn images in plan order, uint8 [size, size] each, one micro-batch in memory.

    Raises:
        InputError: a micro-batch is missing, as when the processes' machines do not share the folder.
    """
    for file in batch_files(plan, params, kept):
        pixels = _kept(file)
        if pixels is None:
            raise InputError(f"{file}: not there after all processes drew; they must share this folder")
        yield from pixels


def _kept(file: Path) -> np.ndarray | None:
    """The images of a kept micro-batch; None if it is not there, damaged or cut short."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return arrays["pixels"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        log.warning("%s is damaged or cut short and counts as not drawn", file)
        return None
