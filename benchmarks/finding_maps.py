"""Does the generator know where a finding is? Its maps against the renderer's masks, beside a classifier's.

    PYTHONPATH=src:studies python -m benchmarks.finding_maps

Run it after the default pipeline, in its folder. For each film with a tail finding and a mask of it: AUC of the pixels'
values (inside the lesion against outside) and intersection over union of the region at `sampling.region_threshold`, not
widened. The baseline's maps are class activation maps; both kinds are averages over as many moved films. The training
films are those that grafts use; the test films neither model has seen. Writes benchmarks/results/finding_maps.json.
"""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from benchmarks.report import Row, ratio_row, write_results
from sklearn.metrics import roc_auc_score

from study.cam_maps import cam_map, cam_shift
from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.network.model import Classifier
from trcgl.config import load_params
from trcgl.diffusion.generator.rows import TrainingRows, labelled_rows
from trcgl.diffusion.generator.saved import load_generator
from trcgl.diffusion.sampling.graft import region_of
from trcgl.diffusion.sampling.grafted_plan import map_of
from trcgl.runtime.files import read_json

RESULT = Path("benchmarks/results/finding_maps.json")
COMMAND = "PYTHONPATH=src:studies python -m benchmarks.finding_maps"
CPU = torch.device("cpu")


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
    shift = cam_shift(baseline, images)
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
                cam, threshold = cam_map(baseline, film, finding, shift), params.sampling.region_threshold
                measured.append((*agreement(ours, lesion, threshold), *agreement(cam, lesion, threshold)))
        auc, overlap, cam_auc, cam_overlap = np.mean(measured, axis=0)
        films = f"{len(measured)} lesions of {split} films"
        rows.append(
            ratio_row(
                f"generator's map against the baseline's class activation map, {films}",
                auc,
                cam_auc,
                1,
                "pixel AUC",
                COMMAND,
            )
        )
        rows.append(ratio_row(f"its region against the baseline's, {films}", overlap, cam_overlap, 1, "IoU", COMMAND))
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
