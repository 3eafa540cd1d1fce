"""Feed malformed files to the image decoders and label readers: `python -m tests.faults.fuzz --minutes 60`.

Case k of a seed is always the same; `--first K --cases 1` repeats one. A case fails if it gives neither a result that
the pipeline can use nor the one-line exception, takes over ten seconds of processor time, needs over `MEMORY` bytes, or
kills its process. The file of a failed case is kept.
"""

import argparse
import itertools
import multiprocessing
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from types import FrameType

import numpy as np

from tests.faults.spoiled import image_file, label_file, spoil
from trcgl.artifacts.vocabulary import phrases
from trcgl.images.decode import UnreadableImage, decode, header_size
from trcgl.images.resize import resize_square, window_to_uint8
from trcgl.labels.adapters import read_table
from trcgl.labels.merging import read_class_table
from trcgl.labels.name_lists import read_names
from trcgl.labels.splits import read_split_file
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import silence

RunCase = Callable[[int, int, Path], str]
"""Seed, number and an empty folder -> what came out."""
SECONDS = 10
MEMORY = 6 * 2**30
SUFFIXES = (".png", ".jpg", ".tif", ".dcm")


def run_case(seed: int, number: int, folder: Path) -> str:
    """Run one case in `folder`.

    Returns:
        "read", or the reason why the file could not be read.

    Raises:
        Exception: any that the pipeline does not turn into a line or a counted record.
    """
    random = np.random.default_rng([seed, number])
    if random.random() < 0.7:
        content, suffix = image_file(random, folder / "x")
        if random.random() < 0.2:
            suffix = str(random.choice(SUFFIXES))
        return read_image(folder / f"case{suffix}", spoil(random, content))
    content, kind = label_file(random, folder / "case.csv")
    return read_labels(folder / "case.csv", spoil(random, content), kind)


def read_image(path: Path, content: bytes) -> str:
    """Read a file as the stages scan_images and cache_images do."""
    path.write_bytes(content)
    width, height = header_size(path)
    assert (width is None) == (height is None)
    try:
        pixels = decode(path, inverted=True)
    except UnreadableImage as error:
        assert "\n" not in str(error), str(error)
        assert 0 < len(str(error)) < 300
        return str(error)
    assert pixels.ndim == 2
    assert pixels.dtype in (np.uint8, np.uint16, np.float32)
    assert np.isfinite(pixels).all()
    square = resize_square(window_to_uint8(pixels, 0.5, 99.5), 32, "pad")
    assert square.shape == (32, 32)
    assert square.dtype == np.uint8
    return "read"


def read_labels(path: Path, content: bytes, kind: str) -> str:
    """Read a file as parse_labels and the readers of smaller tables do."""
    path.write_bytes(content)
    try:
        if kind == "splits":
            assert set(read_split_file(path).values()) <= {"train", "val", "test"}
        elif kind == "names":
            assert all(read_names(path))
        elif kind == "vocabulary":
            phrases(["mass"], path)
        elif kind == "class table":
            read_class_table(path)
        else:
            table = read_table(kind, path)
            assert table.source_rows == len(table.rows) + len(table.rejected)
            assert not table.rows["image"].duplicated().any()
            assert (table.rows[["image", "patient"]] != "").all(axis=None)
            assert not table.rows["image"].str.contains("[/\\\\]").any()
            assert set(table.positives["row"]) <= set(table.rows["row"])
    except InputError as error:
        assert "\n" not in str(error), str(error)
        return str(error)
    return "read"


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"over {SECONDS} s")


def _work(
    case: RunCase, seed: int, first: int, last: int | None, until: float, keep: Path, at: "Synchronized[int]"
) -> None:
    """Run cases until the time is over; `at` holds the number of the running one. Exit code 1: a case failed."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGPROF, _too_long)
    warnings.simplefilter("ignore")
    silence()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in itertools.count(first):
            at.value = number
            if time.time() > until or number == last:
                return
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            try:
                outcome = case(seed, number, folder)
                if last is not None:
                    print(f"case {number}: {outcome}")
            except Exception:  # Any exception that gets here is a finding of the run
                print(f"case {number} failed:\n{traceback.format_exc()}", flush=True)
                for file in folder.glob("case*"):
                    file.replace(keep / f"{number}{file.suffix}")
                sys.exit(1)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            for file in folder.glob("case*"):
                file.unlink()


def run(case: RunCase, program: str, description: str | None) -> int:
    """The command: run cases for some minutes; returns its exit code."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, metavar="K")
    parser.add_argument("--cases", type=int, help="default: as many as fit into the minutes")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "fuzz", help="files of failed cases")
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    at, failed, until = context.Value("q", options.first), [], time.time() + 60 * options.minutes
    last = None if options.cases is None else options.first + options.cases
    while True:
        # In its own process, which is all that a crashing decoder can kill
        process = context.Process(target=_work, args=(case, options.seed, at.value, last, until, options.keep, at))
        process.start()
        process.join()
        if process.exitcode == 0:
            break
        failed.append(at.value)
        print(f"case {at.value}: exit code {process.exitcode}; {len(failed)} failed so far", flush=True)
        at.value += 1
    print(f"{at.value - options.first} cases in {options.minutes} minutes, failed: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run(run_case, "python -m tests.faults.fuzz", __doc__))
