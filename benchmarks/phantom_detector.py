"""Train the independent detector of phantom findings: data/assets/phantom_detector.

    PYTHONPATH=src python -m benchmarks.phantom_detector [--seed 2000] [--images 3000] [--times 24]

It learns from phantoms of a seed of its own (other patients than the default's and the base generator's), with the tail
findings at `times` their natural number, so that each has at least 200 training images. It only reports what it detects
in synthetic images and never decides whether one is accepted. The card beside it gives its AUC.
"""

import argparse
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from benchmarks.phantom_difficulty import pixels, training_data

from trcgl.classifier.network.predict import predict
from trcgl.classifier.training.train import train
from trcgl.config import load_params
from trcgl.metrics import area_under_roc
from trcgl.phantom.catalogue import NAMES
from trcgl.phantom.dataset import RENDERER_VERSION
from trcgl.phantom.population import TEST, draw_population, more_tail_images
from trcgl.runtime.errors import InputError, exit_code
from trcgl.runtime.provenance import commit_of_code
from trcgl.runtime.workers import pixel_workers

FOLDER = Path("data/assets/phantom_detector")
COMMAND = "PYTHONPATH=src python -m benchmarks.phantom_detector"
LEAST = 200
"""Least number of training images per finding."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=2000)
    parser.add_argument("--images", type=int, default=3000, help="training images at natural prevalence")
    parser.add_argument("--times", type=int, default=24, help="factor for the number of tail training images")
    options = parser.parse_args()
    params = load_params("params.yaml")
    torch.set_num_threads(params.compute.threads)
    phantom = replace(params.dataset.phantom, train_images=options.images)
    images = [image for image in draw_population(options.seed, phantom) if image.spoiled is None]
    images += more_tail_images(options.seed, phantom, options.times)
    with pixel_workers(params.compute.workers or os.cpu_count() or 1) as pool:
        drawn = np.stack(list(pool.map(partial(pixels, params=params), images, chunksize=16)))
    data = training_data(images, drawn)
    counts = dict(zip(data.class_names, data.counts().positives.long().tolist(), strict=True))
    rare = [name for name in NAMES if counts[name] < LEAST]
    if rare:
        raise InputError(f"{rare[0]}: {counts[rare[0]]} training images; {LEAST} are needed: raise --images or --times")
    model = train(replace(params.baseline, seed=options.seed), data, params.compute).model
    test = np.flatnonzero([image.split == TEST for image in images])
    scores = predict(model, drawn, rows=test)
    targets = data.targets[test]
    model.half().save(FOLDER)
    lines = [
        "# Independent detector of phantom findings",
        "",
        "Reports what can be seen in synthetic phantoms; it accepts and rejects nothing. Not for images of patients.",
        "",
        f"- **Data:** {len(data.train)} training phantoms of seed {options.seed} (renderer version "
        f"{RENDERER_VERSION}), tail findings at {options.times} times their natural number.",
        f"- **Command:** `{COMMAND}`, {params.compute.threads} thread(s)",
        f"- **Commit:** {commit_of_code()}",
        "- **Network:** the baseline of params.yaml, weights in half precision.",
        "",
        "| finding | training images | AUC on its own test images |",
        "|---|---|---|",
        *(f"| {n} | {counts[n]} | {area_under_roc(targets[:, k], scores[:, k]):.3f} |" for k, n in enumerate(NAMES)),
        "",
    ]
    (FOLDER / "README.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    sys.exit(exit_code(main))
