"""Does the audit reject what it should, and keep real images?

    PYTHONPATH=src python -m benchmarks.audit_planted [--images 300]

Run it after the default pipeline, in its folder. Plants copies of training images (noise, flips, crops, brightness, all
at once) and images of a wrong finding (real test images without it); treats real test images as samples, without the
reference images of their own patient. Prints tables and writes benchmarks/results/audit_planted.json.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from benchmarks.report import Row, result_row, write_results

from trcgl.audit.copies import nearest_copies
from trcgl.audit.limits import NEIGHBOURS, Limits
from trcgl.audit.measured import Measured, measure
from trcgl.audit.neighbours import Barred, nearest_features, none_barred, same_patient
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


def copies_found(images: Measured, real: RealImages, limits: Limits, barred: Barred) -> dict[str, float]:
    """Shares rejected as copies: in total, by pixels, by features."""
    pixels, _ = nearest_copies(images.thumbnails, real.measured.thumbnails, barred)
    features, _ = nearest_features(images.features, real.measured.features, 1, barred)
    return {
        "rejected": float(limits.near(pixels, features[:, 0]).mean()),
        "by pixels": float((pixels < limits.pixels).mean()),
        "by features": float((features[:, 0] < limits.features).mean()),
    }


def planted_copies(real: RealImages, limits: Limits, judge: Classifier, count: int) -> pd.DataFrame:
    """Copies of training images against all real images: one row per change."""
    chosen = rng("planted copies").choice(real.split("train"), count, replace=False)
    images, found = real.pixels[chosen], {}
    for change in CHANGES:
        changed = np.stack([changed_copy(image, change, rng(change, i)) for i, image in enumerate(images)])
        found[change] = copies_found(measure(judge, changed), real, limits, none_barred(len(real.rows)))
    return pd.DataFrame.from_dict(found, orient="index")


def held_out(real: RealImages, limits: Limits, tests: pd.DataFrame, neighbours: int, count: int) -> dict[str, float]:
    """Shares of real test images that each test of the audit would reject."""
    chosen = rng("held-out images").permutation(real.split("test"))[:count]
    images, patients = real.measured.of(chosen), real.rows["patient"].to_numpy(dtype=object)
    train = real.split("train")
    far, _ = nearest_features(
        images.features, real.measured.features[train], neighbours, same_patient(patients[chosen], patients[train])
    )
    without = real.labels.iloc[chosen].to_numpy() == 0
    invented = without & tests["decides"].to_numpy() & (images.scores > tests["invented_threshold"].to_numpy())
    return {
        "copy": copies_found(images, real, limits, same_patient(patients[chosen], patients))["rejected"],
        "copy, also of the patient's others": copies_found(
            images, real, limits, lambda rows: chosen[rows, None] == np.arange(len(patients))[None, :]
        )["rejected"],
        "unlike real images": float((far[:, -1] > limits.neighbour).mean()),
        "other finding invented": float(invented.any(axis=1).mean()),
    }


def wrong_findings(real: RealImages, tests: pd.DataFrame) -> pd.DataFrame:
    """Test images without a finding, treated as if drawn for it: one row per finding."""
    test, rows = real.split("test"), []
    for c, finding in enumerate(real.labels):
        labels, scores = real.labels[finding].to_numpy()[test], real.measured.scores[test, c]
        seen = scores >= tests["threshold"].to_numpy()[c]
        rows.append(
            {
                "finding": finding,
                "val AUC": tests["auc"].to_numpy()[c],
                "test AUC": area_under_roc(labels, scores),
                "decides": tests["decides"].to_numpy()[c],
                "wrong rejected": float((~seen)[labels == 0].mean()),
                "right kept": float(seen[labels == 1].mean()),
            }
        )
    return pd.DataFrame(rows).set_index("finding")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300, help="planted copies of each kind, and held-out images")
    options = parser.parse_args()
    params = load_params()
    torch.set_num_threads(params.compute.threads)
    judge = Classifier.load("data/models/baseline")
    real = load_real_images(Path("data/images/classifier"), Path("data/labels/labels.parquet"), judge)
    limits, tests = real.limits(params.audit), real.tests(params.audit)

    copies = planted_copies(real, limits, judge, options.images)
    kept = held_out(real, limits, tests, NEIGHBOURS, options.images)
    wrong = wrong_findings(real, tests)
    print(f"{limits}\n\nplanted copies, {options.images} of each:\n{copies.round(3).to_string()}")
    print(f"\n{options.images} held-out test images, share rejected:\n{pd.Series(kept).round(3).to_string()}")
    print(f"\nwrong findings planted:\n{wrong.round(3).to_string()}")

    rows: list[Row] = [
        result_row(f"planted copies rejected: {change}", share, 0.95, 1.0, "share", COMMAND)
        for change, share in copies["rejected"].items()
    ]
    rows += [
        result_row(f"held-out test images rejected: {name}", share, 0.0, 0.1, "share", COMMAND)
        for name, share in kept.items()
        if "patient" not in name
    ]
    rows += [
        result_row(f"wrong finding rejected: {finding} (validation AUC {auc:.3f})", share, 0.9, 1.0, "share", COMMAND)
        for finding, auc, share in wrong.loc[wrong["decides"], ["val AUC", "wrong rejected"]].itertuples()
    ]
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
