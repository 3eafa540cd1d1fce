"""Does the audit reject what it should, and keep real images?

    PYTHONPATH=src python -m benchmarks.audit_planted [--images 300]

Run it after the default pipeline, in its folder. Plants copies of training images (noise, flips, crops, brightness, all
at once), treats real test images as samples, and tests each finding on test images with and without it. Prints tables
and writes benchmarks/results/audit_planted.json.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from benchmarks.report import Row, result_row, write_results

from trcgl.artifacts.pixels import resized
from trcgl.audit.base_features import BaseFeatures
from trcgl.audit.duplicates import closest
from trcgl.audit.finding_tests import finding_tests
from trcgl.audit.judge import judge_scores
from trcgl.audit.limits import NEIGHBOURS, Limits, real_limits
from trcgl.audit.measured import THUMBNAIL
from trcgl.audit.neighbours import Barred, nearest_distances, none_barred, same_patient
from trcgl.audit.overlaid import Space
from trcgl.audit.real_images import RealImages, load_real_images
from trcgl.classifier.network.model import Classifier
from trcgl.config import load_params
from trcgl.metrics import area_under_roc
from trcgl.numerics.seeding import rng

RESULT = Path("benchmarks/results/audit_planted.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.audit_planted"
CHANGES = ("noise", "flip", "crop", "brightness", "all at once")


def changed_copy(image: np.ndarray, change: str, draw: np.random.Generator) -> np.ndarray:
    """A copy of uint8 [S, S]: a tenth of the side cropped, noise of 10 grey values, a quarter brighter or darker."""
    everything, size = change == CHANGES[-1], len(image)
    copy = image.astype(np.float32)
    if everything or change == "flip":
        copy = copy[:, ::-1]
    if everything or change == "crop":
        kept = size - round(0.1 * size)
        top, left = draw.integers(0, size - kept + 1, 2)
        copy = cv2.resize(np.ascontiguousarray(copy[top : top + kept, left : left + kept]), (size, size))
    if everything or change == "brightness":
        mean = copy.mean()
        copy = (copy - mean) * draw.uniform(0.75, 1.25) + mean + draw.uniform(-25, 25)
    if everything or change == "noise":
        copy = copy + draw.normal(0, 10, copy.shape)
    return np.clip(np.rint(copy), 0, 255).astype(np.uint8)


def copies_found(
    images: np.ndarray, real: RealImages, limits: Limits, space: Space, barred: Barred
) -> dict[str, float]:
    """Shares near to a training image in pixels, and near in features as well: rejected as copies."""
    thumbnails = resized(images, THUMBNAIL)
    found = list(closest(images, thumbnails, real.pixels, real.measured.thumbnails, barred, limits, space))
    return {
        "rejected": float(np.mean([one.duplicate for one in found])),
        "near in pixels": float(np.mean([one.pixels < limits.pixels for one in found])),
    }


def planted_copies(train: RealImages, limits: Limits, space: Space, count: int) -> pd.DataFrame:
    """Copies of training images against all training images: one row per change."""
    chosen = rng("planted copies").choice(len(train), count, replace=False)
    images, found = train.pixels[chosen], {}
    for change in CHANGES:
        changed = np.stack([changed_copy(image, change, rng(change, i)) for i, image in enumerate(images)])
        found[change] = copies_found(changed, train, limits, space, none_barred(len(train)))
    return pd.DataFrame.from_dict(found, orient="index")


def held_out(train: RealImages, test: RealImages, limits: Limits, space: Space, count: int) -> dict[str, float]:
    """Shares of real test images that each test of the audit would reject."""
    chosen = rng("held-out images").permutation(len(test))[:count]
    barred = same_patient(test.patients[chosen], train.patients)
    far = nearest_distances(test.measured.features[chosen], train.measured.features, NEIGHBOURS, barred)
    return {
        "copy": copies_found(test.pixels[chosen], train, limits, space, barred)["rejected"],
        "unlike real images": float((far[:, -1] > limits.neighbour).mean()),
    }


def finding_table(test: RealImages, scores: np.ndarray, tests: pd.DataFrame) -> pd.DataFrame:
    """Test images with and without each finding, treated as if drawn for it: one row per finding that is judged."""
    rows = []
    for c, finding in enumerate(test.labels):
        labels, seen = test.labels[finding].to_numpy(), scores[:, c] > tests["threshold"].to_numpy()[c]
        rows.append(
            {
                "finding": finding,
                "val AUC": tests["auc"].to_numpy()[c],
                "test AUC": area_under_roc(labels, scores[:, c]),
                "without it, rejected": float((~seen)[labels == 0].mean()),
                "with it, kept": float(seen[labels == 1].mean()),
            }
        )
    table = pd.DataFrame(rows).set_index("finding")
    return table[tests["threshold"].notna()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300, help="planted copies of each kind, and held-out images")
    options = parser.parse_args()
    params = load_params()
    torch.set_num_threads(params.compute.threads)
    judge = Classifier.load("data/models/baseline")
    train, val, test = (
        load_real_images(Path("data/images/classifier"), Path("data/labels/labels.parquet"), judge, split)
        for split in ("train", "val", "test")
    )
    space = BaseFeatures(Path("data/models/diffusion"), torch.device("cpu"))
    limits = real_limits(train, val, space, params.audit)
    tests = finding_tests(judge_scores(judge, val.pixels), val.labels, params.audit)

    copies = planted_copies(train, limits, space, options.images)
    kept = held_out(train, test, limits, space, options.images)
    seen = finding_table(test, judge_scores(judge, test.pixels), tests)
    print(f"{limits}\n\nplanted copies, {options.images} of each:\n{copies.round(3).to_string()}")
    print(f"\n{options.images} held-out test images, share rejected:\n{pd.Series(kept).round(3).to_string()}")
    print(f"\nfindings, test images:\n{seen.round(3).to_string()}")

    rows: list[Row] = [
        result_row(f"planted copies rejected: {change}", share, 0.95, 1.0, "share", COMMAND)
        for change, share in copies["rejected"].items()
    ]
    rows += [
        result_row(f"held-out test images rejected: {name}", share, 0.0, 0.1, "share", COMMAND)
        for name, share in kept.items()
    ]
    known = 1 - params.audit.seen_percentile / 100
    rows.append(
        result_row(
            "images with a finding in which it is seen, mean over findings",
            float(seen["with it, kept"].mean()), known - 0.1, known + 0.1, "share", COMMAND,
        )
    )  # fmt: skip
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
