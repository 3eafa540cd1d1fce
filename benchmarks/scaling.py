"""Does the cost grow in proportion to the work? Exponents from few to many images, and the memory of both.

    PYTHONPATH=src python -m benchmarks.scaling

The exponent is the logarithm of the ratio of the times, divided by that of the ratio of the numbers: 1 is proportional;
below 1, a fixed cost still dominates a part. `ours` and `peer` are the seconds with many and with few. CPU time of all
threads. In the audit only the number of real images grows, not that of the samples. In the evaluation a fifth of the
images are test images, of 159 findings as in PadChest, in a tenth of the default's resamples.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
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
from trcgl.classifier.training.near_copies import near_copies
from trcgl.classifier.training.train import train
from trcgl.config import load_params
from trcgl.evaluation.bootstrap import image_weights
from trcgl.evaluation.compare import OURS, REFERENCE, compare
from trcgl.evaluation.resampled import resample_models
from trcgl.evaluation.scored import Scored
from trcgl.evaluation.subgroups import subgroup_table
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.labels.adapters import read_table
from trcgl.labels.build import build_labels
from trcgl.metrics import prevalence_weights
from trcgl.numerics.seeding import rng
from trcgl.setup.presets import overlay_files

RESULT = Path("benchmarks/results/scaling.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.scaling"
SIZE, SAMPLES = 64, 16


def exponent(
    what: str,
    at: Callable[[int], object],
    few: int,
    times: int = 10,
    rounds: int = 5,
    floor: Callable[[], object] = lambda: None,
) -> Row:
    """The scaling exponent; `floor` is the part of the work with many that nothing can avoid, if it is known."""
    many = times * few
    timed = take_turns({"few": lambda: at(few), "many": lambda: at(many), "floor": floor}, rounds=rounds)
    least = timed.median("floor")
    return speed_row(
        f"scaling exponent of {what}, from {few:,} to {many:,}",
        ours=timed.median("many"),
        peer=timed.median("few"),
        floor=least if least > 0.001 else None,
        unit="CPU s",
        ratios=np.log(timed.ratios("many", "few")) / np.log(times),
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
    return exponent(
        "co-occurrence, in rows", lambda count: count_cooccurrence(targets[:count], names, 1.0), 10_000,
        floor=lambda: targets.T @ targets,
    )  # fmt: skip


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


def leak_check(folder: Path, images: int) -> None:
    """Compare every validation and test image with the images of the other splits."""
    names = [f"{i}.png" for i in range(images)]
    splits = rng("splits").choice(["train", "val", "test"], images, p=[0.7, 0.1, 0.2])
    assert not near_copies(chests(folder, images), names, splits)


def chests(folder: Path, images: int) -> ShardedImages:
    """`images` pictures in shards, all different, and as alike as 2,323 real films are to the leak check.

    Of real films the median correlation of two thumbnails is 0.23, the 99th percentile 0.60, and sixteen principal
    components have 0.59 of the variance.
    """
    place = folder / f"chests-{images}"
    if not place.exists():
        place.mkdir(parents=True)
        writer, draw = ShardWriter(place, SIZE, 4096), rng("chests")
        patterns = draw.standard_normal((60, SIZE * SIZE), dtype=np.float32)
        patterns *= 40 * np.arange(1, 61, dtype=np.float32)[:, None] ** -0.425
        shared = 128 + 27 * draw.standard_normal(SIZE * SIZE, dtype=np.float32)
        for start in range(0, images, 4096):
            own = draw.standard_normal((min(4096, images - start), len(patterns)), dtype=np.float32) @ patterns
            for i, picture in enumerate(np.clip(shared + own / 2, 0, 255).astype(np.uint8), start):
                writer.add(f"{i}.png", picture.reshape(SIZE, SIZE))
        writer.close()
    return ShardedImages(place)


def evaluation(folder: Path, images: int) -> None:
    """All numbers of the evaluation, of two models whose probabilities are there."""
    draw, count, findings = rng("evaluation"), images // 5, 159
    prevalence = np.geomspace(0.001, 0.3, findings)
    labels = (draw.random((count, findings)) < prevalence).astype(np.float32)
    classes = pd.DataFrame(
        {"name": [f"finding {i}" for i in range(findings)], "group": "tail", "prevalence": prevalence}
    )
    scored = Scored(
        labels=labels,
        scores={model: (draw.random(labels.shape) + labels) / 2 for model in (REFERENCE, OURS)},
        thresholds=dict.fromkeys((REFERENCE, OURS), [0.5] * findings),
        patients=draw.integers(0, max(2, count * 3 // 5), count),
        classes=classes,
        weights=prevalence_weights(labels, prevalence.tolist()),
    )
    about = pd.DataFrame({"projection": draw.choice(["PA", "AP"], count), "sex": draw.choice(["F", "M"], count)})
    params = replace(load_params("params.yaml").evaluation, bootstrap_samples=100)
    compare(scored, resample_models(scored, image_weights(scored.patients, params.bootstrap_samples)))
    subgroup_table(scored, about, params)


def memory(what: str, call: str, folder: Path, few: int, times: int = 10, kept: int = 0) -> Row:
    """Peak memory of a fresh process with few and with many images.

    Args:
        kept: bytes per image that are in memory in any case: mapped files count, too.
    """
    peaks = []
    for images in (few, times * few):
        # Made here: what the process reads does not count, what it would draw does
        {"leak_check": chests, "evaluation": lambda *_: None}.get(call, stored)(folder, images)
        code = f"from benchmarks.scaling import peak; peak({call!r}, {str(folder)!r}, {images})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        peaks.append(float(done.stdout.splitlines()[-1]))
    return memory_row(f"peak memory of {what} with {times * few:,} images, against {few:,}", peaks, COMMAND,
                      floor=peaks[0] + kept * (times - 1) * few / 2**20 if kept else None)  # fmt: skip


def peak(call: str, folder: str, images: int) -> None:
    """Print the peak memory in MB of a function of this module."""
    torch.set_num_threads(2)
    {"one_epoch": one_epoch, "audit": audit, "leak_check": leak_check, "evaluation": evaluation}[call](
        Path(folder), images
    )
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
            exponent("the leak check, in images", lambda count: leak_check(folder, count), 10_000, 11, rounds=3),
            exponent("the evaluation, in images", lambda count: evaluation(folder, count), 10_000, 11, rounds=3),
            memory("one training epoch", "one_epoch", folder, 400),
            memory("the audit", "audit", folder, 400),
            # The pixels, which are mapped; of a fifth of the images the label and two probabilities of 159 findings
            memory("the leak check", "leak_check", folder, 10_000, 11, kept=SIZE * SIZE),
            memory("the evaluation", "evaluation", folder, 10_000, 11, kept=159 * (4 + 8 + 8) // 5),
        ]
    print_rows(rows)
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
