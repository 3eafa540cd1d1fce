"""Is the phantom hard enough, and is lack of data the reason? The baseline, also with 30 times the tail images.

    PYTHONPATH=src python -m benchmarks.phantom_difficulty [--seeds 0 1 ...] [--times 30]

Each seed draws its own data set, in memory, with the sizes of params.yaml, and trains the baseline of params.yaml
twice. Prints AP per finding on the enriched test set and writes benchmarks/results/phantom_difficulty.json.
"""

import argparse
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from benchmarks.report import result_row, write_results

from trcgl.classifier.network.predict import predict
from trcgl.classifier.training.data import TrainingData
from trcgl.classifier.training.train import train
from trcgl.config import Params, load_params
from trcgl.images.resize import resize_square, window_to_uint8
from trcgl.metrics import average_precision
from trcgl.phantom.catalogue import BY_NAME, FINDINGS, HEAD, MEDIUM, NAMES, TAIL
from trcgl.phantom.population import TEST, TRAIN, VALIDATION, Image, draw_population, more_tail_images
from trcgl.phantom.render import render
from trcgl.runtime.workers import pixel_workers

RESULT = Path("benchmarks/results/phantom_difficulty.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.phantom_difficulty"


def pixels(image: Image, params: Params) -> np.ndarray:
    """The image as the cache would hold it: uint8 [S, S]."""
    film, _ = render(image.view)
    window = window_to_uint8(film, params.images.window_low, params.images.window_high)
    return resize_square(window, params.images.classifier_size, params.images.resize)


def training_data(images: list[Image], drawn: np.ndarray) -> TrainingData:
    """Images with their true findings, in the catalogue's order."""
    targets = np.array([[name in image.view.findings for name in NAMES] for image in images], np.float32)
    rows = {split: np.flatnonzero([image.split == split for image in images]) for split in (TRAIN, VALIDATION, TEST)}
    return TrainingData(
        images=drawn,
        targets=targets,
        names=[image.view.image for image in images],
        train=rows[TRAIN],
        val=rows[VALIDATION],
        class_names=NAMES,
        class_groups=tuple(finding.group for finding in FINDINGS),
    )


def measured_ap(images: list[Image], drawn: np.ndarray, params: Params) -> np.ndarray:
    """AP of every finding on the test images of `images`: float [C]."""
    data = training_data(images, drawn)
    model = train(params.baseline, data, params.compute).model
    test = np.flatnonzero([image.split == TEST for image in images])
    scores = predict(model, drawn, rows=test)
    return np.array([average_precision(data.targets[test, k], scores[:, k]) for k in range(len(NAMES))])


def one_seed(seed: int, times: int, params: Params) -> pd.DataFrame:
    """AP with the training set as it is and with `times` the tail images: one row per finding."""
    phantom = params.dataset.phantom
    images = [image for image in draw_population(seed, phantom) if image.spoiled is None]
    more = more_tail_images(seed, phantom, times)
    training = sum(image.split == TRAIN for image in images)
    with pixel_workers(params.compute.workers or os.cpu_count() or 1) as pool:
        drawn = np.stack(list(pool.map(partial(pixels, params=params), images + more, chunksize=16)))
    params = replace(params, baseline=replace(params.baseline, seed=seed))
    baseline = measured_ap(images, drawn[: len(images)], params)
    # The same number of steps on more images: any gain comes from the data, not from longer training
    epochs = max(1, round(params.baseline.epochs * training / (training + len(more))))
    params = replace(params, baseline=replace(params.baseline, epochs=epochs))
    enriched = measured_ap(images + more, drawn, params)
    groups = [BY_NAME[name].group for name in NAMES]
    return pd.DataFrame({"seed": seed, "finding": NAMES, "group": groups, "baseline": baseline, "more": enriched})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--times", type=int, default=30, help="factor for the number of tail training images")
    parser.add_argument("--params", default="params.yaml")
    options = parser.parse_args()
    params = load_params(options.params)
    torch.set_num_threads(params.compute.threads)

    table = pd.concat([one_seed(seed, options.times, params) for seed in options.seeds])
    table["gain"] = table["more"] - table["baseline"]
    findings = table.groupby(["group", "finding"], sort=False)[["baseline", "more", "gain"]].mean()
    groups = table.groupby(["seed", "group"], sort=False)[["baseline", "more", "gain"]].mean()
    print(f"AP on the enriched test set, mean of seeds {options.seeds}; more = {options.times} x the tail images")
    print(findings.round(3).to_string())
    print(groups.round(3).to_string())

    tail = groups.xs(TAIL, level="group")
    rows = []
    for seed, values in tail.iterrows():
        rows.append(
            result_row(f"tail mAP of the baseline, seed {seed}", float(values["baseline"]), 0.25, 0.5, "mAP", COMMAND)
        )
        gain = float(values["gain"])
        rows.append(result_row(f"gain of {options.times} x tail images, seed {seed}", gain, 0.3, 1.0, "mAP", COMMAND))
    easiest = float(table["baseline"].max())
    rows.append(result_row("AP of the easiest finding, any seed", easiest, 0.0, 0.97, "AP", COMMAND))
    for group in (HEAD, MEDIUM):
        value = float(groups.xs(group, level="group")["baseline"].mean())
        rows.append(result_row(f"{group} mAP of the baseline", value, 0.4, 0.93, "mAP", COMMAND))
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
