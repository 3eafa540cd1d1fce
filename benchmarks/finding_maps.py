"""Does the generator know where a finding is? Its maps against the renderer's masks, beside a classifier's Grad-CAM.

    PYTHONPATH=src python -m benchmarks.finding_maps

Run it after the default pipeline, in its folder. For each film with a tail finding and a mask of it: AUC of the pixels'
values (inside the lesion against outside) and intersection over union of the region at `sampling.region_threshold`, not
widened. Both kinds of maps are averages over the same number of moved films. The training films are those that grafts
use; the test films neither model has seen. Writes benchmarks/results/finding_maps.json.
"""

from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from benchmarks.report import Row, ratio_row, write_results
from sklearn.metrics import roc_auc_score

from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.network.model import Classifier
from trcgl.config import load_params
from trcgl.diffusion.generator.latents import shifted
from trcgl.diffusion.generator.rows import TrainingRows, labelled_rows
from trcgl.diffusion.generator.saved import load_generator
from trcgl.diffusion.sampling.finding_map import MOVES
from trcgl.diffusion.sampling.graft import region_of
from trcgl.diffusion.sampling.grafted_plan import map_of
from trcgl.evaluation.grad_cam import class_maps_and_grad_cams
from trcgl.runtime.files import read_json

RESULT = Path("benchmarks/results/finding_maps.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.finding_maps"
CPU = torch.device("cpu")


def grad_cam(model: Classifier, film: np.ndarray, finding: str) -> np.ndarray:
    """The mean over moved films, moved back: float32 [S, S]."""
    size = len(film)
    place = size // model.features(torch.zeros(1, 1, size, size)).shape[-1]
    steps = [round((part / MOVES - 0.5) * place) for part in range(MOVES)]
    moves = list(product(steps, steps))
    pixels = np.stack([shifted(film, *move) for move in moves])
    column = list(model.config.class_names).index(finding)
    _, cams = class_maps_and_grad_cams(model, pixels, np.arange(len(moves)), np.full(len(moves), column))
    wide = [np.kron(cam, np.ones((place, place))) for cam in cams]
    back = [shifted(one, -right, -down) for one, (right, down) in zip(wide, moves, strict=True)]
    return np.mean(back, axis=0).astype(np.float32)


def agreement(differences: np.ndarray, lesion: np.ndarray, threshold: float) -> tuple[float, float]:
    """AUC of the pixels, and intersection over union of the region."""
    region = region_of(differences, threshold, margin=0)
    return roc_auc_score(lesion.ravel(), differences.ravel()), (region & lesion).sum() / (region | lesion).sum()


def lesions(size: int) -> dict[tuple[str, str], np.ndarray]:
    """bool [S, S] by image and finding; those that are there."""
    table = pd.read_parquet("data/phantom/lesions.parquet")
    found = {}
    for image, finding, mask in zip(table["image"], table["finding"], table["mask"], strict=True):
        decoded = cv2.imdecode(np.frombuffer(mask, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert decoded is not None
        small = cv2.resize(decoded, (size, size), interpolation=cv2.INTER_AREA) > 64
        if small.any():
            found[image, finding] = small
    return found


def main() -> None:
    params = load_params("params.yaml")
    torch.set_num_threads(params.compute.threads)
    images = ShardedImages("data/images/diffusion")
    generator = load_generator("data/models/diffusion", CPU)
    baseline = Classifier.load("data/models/baseline").eval()
    masks, labels = lesions(images.size), pd.read_parquet("data/labels/labels.parquet")
    classes, rows = read_json("data/labels/classes.json"), list[Row]()
    for split in ("train", "test"):
        real: TrainingRows = labelled_rows(labels, classes, list(images.index["image"]), split)
        measured = []
        for finding, having in real.carriers.items():
            for row in having:
                lesion = masks.get((real.images[row], finding))
                if lesion is None:
                    continue
                film = images.read([real.images[row]])[0]
                ours = map_of(generator, real, images, row, finding, params.sampling)
                cam, threshold = grad_cam(baseline, film, finding), params.sampling.region_threshold
                measured.append((*agreement(ours, lesion, threshold), *agreement(cam, lesion, threshold)))
        auc, overlap, cam_auc, cam_overlap = np.mean(measured, axis=0)
        films = f"{len(measured)} lesions of {split} films"
        rows.append(ratio_row(f"generator's map against Grad-CAM, {films}", auc, cam_auc, 1, "pixel AUC", COMMAND))
        rows.append(ratio_row(f"its region against Grad-CAM's, {films}", overlap, cam_overlap, 1, "IoU", COMMAND))
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
