"""Batches ready for the model against items of torchxrayvision's PC_Dataset, and how long a training loop waits.

    PYTHONPATH=src python -m benchmarks.training_reads

Ours: random rows from memory-mapped shards, augmented as a batch, normalised. The peer decodes the 2,500 px file of an
item and resizes it, without augmentation. The floor is copying the rows out of the shards. CPU time of all threads.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from benchmarks.cache import padchest_reader
from benchmarks.films import write_film
from benchmarks.peers import torchxrayvision
from benchmarks.random_shards import random_shards
from benchmarks.report import Row, print_rows, skipped_row, speed_row, write_results
from benchmarks.timing import take_turns

from trcgl.artifacts.pixels import StoredPixels, prefetched
from trcgl.classifier.network.model import Classifier, ModelConfig
from trcgl.classifier.training.augment import Augmentation
from trcgl.config import load_params
from trcgl.numerics.seeding import rng

RESULT = Path("benchmarks/results/training_reads.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.training_reads"
IMAGES, BATCH, BATCHES = 2048, 32, 16
TARGETS = {128: 1000, 224: 300}


def stored(folder: Path, size: int) -> StoredPixels:
    images, names = random_shards(folder, size, IMAGES, 512)
    return StoredPixels(images, names)


def random_batches(size: int) -> list[np.ndarray]:
    return np.split(rng("batches", size).permutation(IMAGES)[: BATCH * BATCHES], BATCHES)


def ready(images: StoredPixels, rows: np.ndarray, augment: Augmentation, seed: int) -> torch.Tensor:
    """What the trainer makes of the rows before they enter the backbone."""
    batch = torch.from_numpy(images[rows]).unsqueeze(1)
    return (augment(batch.float() / 255.0, seed) - 0.5) / 0.25


def reads(folder: Path, size: int, augment: Augmentation, rounds: int) -> Row:
    question = f"images/s ready for the model at {size} px, against PC_Dataset items/s"
    xrv = torchxrayvision()
    if xrv is None:
        return skipped_row(
            question, "torchxrayvision is not installed", "images per CPU s", f"ratio of {TARGETS[size]} or more",
            "higher", COMMAND,
        )  # fmt: skip
    images, batches = stored(folder / "shards", size), random_batches(size)
    write_film(folder / "film-0.png", 0)
    timed = take_turns(
        {
            "ours": lambda: [ready(images, rows, augment, i) for i, rows in enumerate(batches)],
            "peer": padchest_reader(xrv, folder, size),
            "copies": lambda: [images[rows] for rows in batches * 8],
        },
        rounds=rounds,
    )
    items = BATCH * BATCHES
    return speed_row(
        question,
        ours=items / timed.median("ours"),
        peer=1 / timed.median("peer"),
        floor=8 * items / timed.median("copies"),
        unit="images per CPU s",
        ratios=items * timed.ratios("peer", "ours"),
        least=TARGETS[size],
        command=COMMAND,
    )


def waiting(folder: Path, augment: Augmentation, rounds: int) -> Row:
    """The trainer's loop with the default's network: the share of its time spent waiting for the next batch."""
    params, size = load_params("params.yaml"), 64
    images = stored(folder / "small", size)
    names = tuple(f"finding {i}" for i in range(20))
    config = ModelConfig(
        params.baseline.backbone, params.baseline.backbone_options, "linear", {}, size, 0.5, 0.25, names,
        ("head",) * len(names),
    )  # fmt: skip
    model = Classifier(config).to(memory_format=torch.channels_last).train()

    def read(rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(images[rows]).unsqueeze(1)

    def epoch() -> tuple[float, float]:
        started, waited = time.perf_counter(), 0.0
        supply = prefetched(random_batches(size), read)
        for i in range(BATCHES):
            asked = time.perf_counter()
            batch = next(supply)
            waited += time.perf_counter() - asked
            model(augment(batch.float() / 255.0, i))[0].square().mean().backward()
        return waited, time.perf_counter() - started

    epoch()
    waits = np.array([epoch() for _ in range(rounds)])
    return speed_row(
        "waiting for data, as a share of a training epoch at 64 px",
        ours=float(np.median(waits[:, 0])),
        peer=float(np.median(waits[:, 1])),
        floor=0.0,
        unit="s of wall time",
        ratios=waits[:, 0] / waits[:, 1],
        most=0.02,
        command=COMMAND,
    )


def in_new_folder(measure: Callable[[Path], Row]) -> Row:
    with tempfile.TemporaryDirectory() as name:
        return measure(Path(name))


def main() -> None:
    params = load_params("params.yaml")
    torch.set_num_threads(params.compute.threads)
    cv2.setNumThreads(1)
    augment = Augmentation.from_params(params.classifier)
    rows = [in_new_folder(lambda folder, size=size: reads(folder, size, augment, 5)) for size in TARGETS]
    rows.append(in_new_folder(lambda folder: waiting(folder, augment, 5)))
    print_rows(rows)
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
