"""Does the cost grow in proportion to the work? Exponents from N to 10 N, and memory with ten times the images.

    PYTHONPATH=src python -m benchmarks.scaling

The exponent is log10 of the ratio of the times: 1 is proportional; below 1, a fixed cost still dominates a part. `ours`
and `peer` are the seconds at 10 N and at N. CPU time of all threads. In the audit only the number of real images grows,
not that of the samples.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from benchmarks.cache import FILMS, cache
from benchmarks.films import write_film
from benchmarks.peers import padchest_table
from benchmarks.report import Row, memory_row, print_rows, skipped_row, speed_row, write_results
from benchmarks.timing import peak_megabytes, take_turns

from trcgl.artifacts.pixels import StoredPixels
from trcgl.artifacts.shards import ShardedImages, ShardWriter
from trcgl.audit.copies import overlays
from trcgl.audit.measured import measure
from trcgl.audit.neighbours import nearest_distances, none_barred
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.training.data import TrainingData
from trcgl.classifier.training.train import train
from trcgl.config import load_params
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.labels.adapters import read_table
from trcgl.labels.build import build_labels
from trcgl.numerics.seeding import rng
from trcgl.setup.presets import overlay_files

RESULT = Path("benchmarks/results/scaling.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.scaling"
SIZE, SAMPLES = 64, 16


def exponent(what: str, at: Callable[[int], object], count: int, rounds: int = 5) -> Row:
    timed = take_turns({"N": lambda: at(count), "10 N": lambda: at(10 * count)}, rounds=rounds)
    return speed_row(
        f"scaling exponent of {what}, from {count:,} to {10 * count:,}",
        ours=timed.median("10 N"),
        peer=timed.median("N"),
        floor=None,
        unit="CPU s",
        ratios=np.log10(timed.ratios("10 N", "N")),
        most=1.05,
        command=COMMAND,
    )


def labels(folder: Path) -> Row:
    table = padchest_table()
    if table is None:
        return skipped_row(
            "scaling exponent of labels", "torchxrayvision is not installed", "CPU s", "ratio of 1.05 or less", "lower",
            COMMAND,
        )  # fmt: skip
    params = load_params(overlays=overlay_files("padchest", "gpu")).labels
    frame = pd.read_csv(table, dtype=str, keep_default_na=False)
    manifest = pd.DataFrame({"path": frame["ImageID"]})
    for count in (16_000, 160_000):
        frame.head(count).to_csv(folder / f"{count}.csv", index=False)
    return exponent(
        "labels, in rows of PadChest's table",
        lambda count: build_labels(read_table("padchest", folder / f"{count}.csv"), manifest[:count], params).write(
            folder / "out"
        ),
        16_000,
    )


def cooccurrence() -> Row:
    names = tuple(f"finding {i}" for i in range(174))
    targets = (rng("targets").random((100_000, len(names))) < 0.02).astype(np.float32)
    return exponent("co-occurrence, in rows", lambda count: count_cooccurrence(targets[:count], names, 1.0), 10_000, 5)


def image_cache(folder: Path) -> Row:
    for number in range(FILMS):
        write_film(folder / f"film-{number}.png", number, 512)
    return exponent("the cache, in images", lambda count: cache(folder, count, {"classifier": SIZE}), 40)


def stored(folder: Path, images: int) -> StoredPixels:
    """`images` random pictures in shards."""
    place = folder / f"{images}"
    if not place.exists():
        place.mkdir(parents=True)
        writer = ShardWriter(place, SIZE, 4096)
        draw = rng("stored")
        for i in range(images):
            writer.add(f"{i}.png", draw.integers(0, 256, (SIZE, SIZE), dtype=np.uint8))
        writer.close()
    return StoredPixels(ShardedImages(place), [f"{i}.png" for i in range(images)])


def one_epoch(folder: Path, images: int) -> None:
    """One epoch of the default's baseline; the validation images grow with the training images."""
    params = load_params("params.yaml")
    values = {"epochs": 1, "warmup_epochs": 0.0, "repeat_threshold": 0.0}
    baseline = type(params.baseline)(**{**vars(params.baseline), **values})
    names = tuple(f"finding {i}" for i in range(20))
    targets = (rng("labels").random((images, len(names))) < 0.1).astype(np.float32)
    held_out = images // 8
    data = TrainingData(
        images=stored(folder, images),
        targets=targets,
        names=[f"{i}.png" for i in range(images)],
        train=np.arange(held_out, images),
        val=np.arange(held_out),
        class_names=names,
        class_groups=("head",) * len(names),
    )
    train(baseline, data, params.compute)


def audit(folder: Path, images: int) -> None:
    """What the audit does with every real image: measure it, and compare the samples with it."""
    judge = Classifier.load("data/assets/phantom_detector")
    real = measure(judge, stored(folder, images))
    list(overlays(real.thumbnails[:SAMPLES], real.thumbnails, none_barred(images)))
    nearest_distances(real.features[:SAMPLES], real.features, 5, none_barred(images))


def memory(what: str, call: str, folder: Path, few: int) -> Row:
    """Peak memory of a fresh process at N and 10 N images."""
    peaks = []
    for images in (few, 10 * few):
        stored(folder, images)
        code = f"from benchmarks.scaling import peak; peak({call!r}, {str(folder)!r}, {images})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        peaks.append(float(done.stdout.splitlines()[-1]))
    return memory_row(f"peak memory of {what} with {10 * few:,} images, against {few:,}", peaks, COMMAND)


def peak(call: str, folder: str, images: int) -> None:
    """Print the peak memory in MB of `one_epoch` or `audit`."""
    torch.set_num_threads(2)
    {"one_epoch": one_epoch, "audit": audit}[call](Path(folder), images)
    print(peak_megabytes())


def main() -> None:
    torch.set_num_threads(load_params("params.yaml").compute.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            labels(folder),
            cooccurrence(),
            image_cache(folder),
            exponent("one training epoch, in images", lambda count: one_epoch(folder, count), 256),
            exponent("the audit, in real images", lambda count: audit(folder, count), 256),
            memory("one training epoch", "one_epoch", folder, 400),
            memory("the audit", "audit", folder, 400),
        ]
    print_rows(rows)
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
