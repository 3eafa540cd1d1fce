"""The image cache against a bare OpenCV loop and torchxrayvision, its gain from two processes, and its memory.

    PYTHONPATH=src python -m benchmarks.cache

The floor is what nobody can skip: reading the file and inflating the PNG. Ours also looks for damage, windows the grey
levels, resizes, pads, and writes shards with an index. CPU time; the gain from two processes is measured in wall time,
which means little on a machine that others use as well.
"""

import contextlib
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from benchmarks.films import write_film
from benchmarks.peers import torchxrayvision
from benchmarks.report import Row, memory_row, print_rows, skipped_row, speed_row, write_results
from benchmarks.timing import Rounds, peak_megabytes, take_turns, wall_seconds

from trcgl.artifacts.preparation import Preparation
from trcgl.images.cache import write_cache

RESULT = Path("benchmarks/results/cache.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.cache"
PREPARATION = Preparation(0.5, 99.5, "pad")
FILMS, CACHED = 3, 9
FEW, MANY = 500, 5000


def selection(images: int) -> pd.DataFrame:
    """`images` names that refer to the few films on disk in turn, because decoding is measured, not the disk."""
    return pd.DataFrame(
        {
            "image": [f"{i}.png" for i in range(images)],
            "path": [f"film-{i % FILMS}.png" for i in range(images)],
            "photometric": "MONOCHROME2",
        }
    )


def cache(folder: Path, images: int, sizes: dict[str, int], workers: int = 1) -> None:
    write_cache(selection(images), folder, sizes, PREPARATION, 128, folder / "out", workers, kept=folder / "kept")


def bare_loop(folder: Path, sizes: dict[str, int]) -> None:
    """Decode, shrink, save: without windows, checks or aspect ratio."""
    kept = {name: [] for name in sizes}
    for path in selection(CACHED)["path"]:
        pixels = cv2.imread(str(folder / path), cv2.IMREAD_UNCHANGED)
        assert pixels is not None
        for name, size in sizes.items():
            kept[name].append(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA))
    for name, squares in kept.items():
        np.save(folder / f"{name}.npy", np.stack(squares))


def decode(folder: Path) -> None:
    """Only decode the images, one after the other: keeping them would cost time for new memory."""
    for path in selection(CACHED)["path"]:
        cv2.imread(str(folder / path), cv2.IMREAD_UNCHANGED)


def against_loops(folder: Path, rounds: int) -> list[Row]:
    one, two = {"classifier": 224}, {"classifier": 224, "diffusion": 512}
    timed = take_turns(
        {
            "ours": lambda: cache(folder, CACHED, one),
            "loop": lambda: bare_loop(folder, one),
            "ours, two sizes": lambda: cache(folder, CACHED, two),
            "loop, two sizes": lambda: bare_loop(folder, two),
            "decoding": lambda: decode(folder),
        },
        rounds=rounds,
    )
    return [
        speed_row(
            f"images/s per core from 2,500 px 16-bit PNG, {about}, against a bare OpenCV loop",
            ours=CACHED / timed.median(f"ours{which}"),
            peer=CACHED / timed.median(f"loop{which}"),
            floor=CACHED / timed.median("decoding"),
            unit="images per CPU s",
            ratios=timed.ratios(f"loop{which}", f"ours{which}"),
            least=0.9,
            command=COMMAND,
        )
        for which, about in (("", "one size"), (", two sizes", "two sizes"))
    ]


def against_torchxrayvision(folder: Path, rounds: int) -> Row:
    question = "one image from 2,500 px 16-bit PNG to 224 px, against PC_Dataset with XRayResizer"
    xrv = torchxrayvision()
    if xrv is None:
        return skipped_row(
            question, "torchxrayvision is not installed", "CPU s", "ratio of 0.4 or less", "lower", COMMAND
        )
    read = padchest_reader(xrv, folder, 224)

    timed = take_turns({"ours": lambda: cache(folder, CACHED, {"classifier": 224}), "peer": read}, rounds=rounds)
    return speed_row(
        question,
        ours=timed.median("ours") / CACHED,
        peer=timed.median("peer"),
        floor=None,
        unit="CPU s",
        ratios=timed.ratios("ours", "peer") / CACHED,
        most=0.4,
        command=COMMAND,
    )


def padchest_reader(xrv: Any, folder: Path, size: int) -> Callable[[], object]:
    """A call that reads film-0.png as item 0 of a PC_Dataset, cropped and resized by its own transforms."""
    import torchvision

    with contextlib.redirect_stdout(io.StringIO()):
        resizer = torchvision.transforms.Compose([xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(size)])
        dataset = xrv.datasets.PC_Dataset(imgpath=str(folder), transform=resizer)
    (folder / dataset.csv["ImageID"].iloc[0]).symlink_to("film-0.png")
    return lambda: dataset[0]


def bare_threads(folder: Path, images: int) -> None:
    def shrink(path: str) -> None:
        pixels = cv2.imread(str(folder / path), cv2.IMREAD_UNCHANGED)
        assert pixels is not None
        cv2.resize(pixels, (224, 224), interpolation=cv2.INTER_AREA)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(shrink, selection(images)["path"]))


def two_processes(folder: Path, rounds: int) -> Row:
    """Seconds for 32 more images, so that the start of the processes, which happens once per data set, does not count.

    At 1,250 px, to finish in a minute; the work is divided among the processes in the same way. The floor is what two
    cores give: the bare loop in two threads (OpenCV releases the interpreter lock), with nothing to share or collect.
    """
    for number in range(FILMS):
        write_film(folder / f"film-{number}.png", number, 1250)
    sizes, few, more = {"classifier": 224}, 32, 32
    timed = take_turns(
        {
            f"{workers} {images}": lambda workers=workers, images=images: cache(folder, images, sizes, workers)
            for workers in (1, 2)
            for images in (few, few + more)
        }
        | {"bare": lambda: bare_threads(folder, more)},
        rounds=rounds,
        clock=wall_seconds,
        warm_up=False,
    )
    one, two = (timed.seconds[f"{w} {few + more}"] - timed.seconds[f"{w} {few}"] for w in (1, 2))
    gained = Rounds({"one": one, "two": two})
    return speed_row(
        "images/s of two processes, against one",
        ours=more / gained.median("two"),
        peer=more / gained.median("one"),
        floor=more / timed.median("bare"),
        unit="images per s of wall time",
        ratios=gained.ratios("one", "two"),
        least=1.8,
        command=COMMAND,
    )


def memory(folder: Path) -> Row:
    """Peak memory of one process that caches FEW and MANY images of 256 px at 128 px."""
    for number in range(FILMS):
        write_film(folder / f"film-{number}.png", number, 256)
    peaks = []
    for images in (FEW, MANY):
        code = f"from pathlib import Path; from benchmarks.cache import peak; peak(Path({str(folder)!r}), {images})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        peaks.append(float(done.stdout))
    return memory_row(f"peak memory with {MANY:,} images, against {FEW}", peaks, COMMAND)


def peak(folder: Path, images: int) -> None:
    """Print the peak memory in MB; run in a process of its own."""
    cache(folder, images, {"classifier": 128})
    print(peak_megabytes())


def main() -> None:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(FILMS):
            write_film(folder / f"film-{number}.png", number)
        rows = [*against_loops(folder, 5), against_torchxrayvision(folder, 5), two_processes(folder, 5), memory(folder)]
    print_rows(rows)
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
