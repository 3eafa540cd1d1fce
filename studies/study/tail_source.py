"""A training set whose only images of the tail findings come from a pool: how well can a classifier learn from them?

This is the classification accuracy score (CAS) of Ravuri and Vinyals, 2019, arXiv 1905.10887: train on generated
images, test on real ones.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from study.films import IMAGES, KEPT_COLUMNS, LABELS, write_films
from study.pools import AUDIT
from study.pools import IMAGES as POOL_IMAGES
from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.training.data import load_accepted
from trcgl.classifier.training.run import TrainingFiles
from trcgl.runtime.files import read_parquet


def films_of_pool(files: TrainingFiles, pool: Path, folder: Path) -> TrainingFiles:
    """Replace the real training images that have a tail finding by the accepted images of the pool.

    The pool's images are treated like any other training image: they count as such, and rare findings are repeated. The
    label graph stays that of the real images.

    Args:
        files: the real images; validation images stay, test images are left out.
        folder: where the new training set is written.
    """
    classes = read_classes(files.classes)["classes"]
    names = tuple(entry["name"] for entry in classes)
    tail = [entry["name"] for entry in classes if entry["group"] == "tail"]
    stored = ShardedImages(files.images)
    table = read_parquet(files.labels, [*KEPT_COLUMNS, *names])[[*KEPT_COLUMNS, *names]]
    without = ~(table[tail] == 1).fillna(False).any(axis=1)
    kept = (table["split"] == "val") | ((table["split"] == "train") & without)
    real = table[kept & table["image"].isin(set(stored.index["image"]))]
    accepted = load_accepted(pool / POOL_IMAGES, pool / AUDIT, names, stored.size)
    about = pd.DataFrame({"image": accepted.names, "patient": accepted.names, "split": "train"})
    extra = pd.concat([about, pd.DataFrame(accepted.targets, columns=list(names)).astype("Int8")], axis=1)
    drawn = (accepted.pixels[np.array([row])][0] for row in range(len(accepted.names)))
    pixels = (*(stored.read([image])[0] for image in real["image"]), *drawn)
    write_films(folder, pd.concat([real, extra], ignore_index=True), pixels, stored.size)
    return replace(files, images=folder / IMAGES, labels=folder / LABELS)
