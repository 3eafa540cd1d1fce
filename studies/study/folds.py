"""Cross-validation by patient: every image is scored by a model that has seen no image of its patient.

The images of the data set itself are used for training and for scores. A study may add further images, perhaps with
boxes. Maps are judged on these too, but an arm trains on them only if it says so (`Arm.more_films`), because they may
have been selected by what they show.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from study.films import LABELS
from trcgl.numerics.seeding import unit_intervals
from trcgl.runtime.files import read_parquet

CLASSES, PLACES, GRAPH = "classes.json", "places.parquet", "cooccurrence.npz"
MORE_LABELS = "labels_more.parquet"
MADE_TAIL = "made_tail"
"""In a fold's folder: labels and graph of the films that stay where tail findings are made rare."""
MAPS = "maps.npz"
"""In a run's folder: the class maps of its test films that have boxes."""
VALIDATION = 1 / 8
"""Share of the other folds' patients on whom a model's epoch is chosen."""


def splits_of(patients: np.ndarray, scored: np.ndarray, fold: int, folds: int) -> np.ndarray:
    """The split of each image in a fold, decided by its patient's id alone: test, val, train, more or "" (not used).

    Args:
        patients: [N].
        scored: bool [N], images of the data set itself. Of the other images, those of the fold's test patients are
            "test", those of its training patients "more", and those of its validation patients are not used.
    """
    place = unit_intervals("fold of a study", folds, names=patients.tolist())
    mine = (place * folds).astype(int) == fold
    chooses = unit_intervals("validation of a fold", fold, names=patients.tolist()) < VALIDATION
    return np.select([mine, ~scored & chooses, ~scored, chooses], ["test", "", "more", "val"], "train").astype(object)


def kept_films(images: Sequence[str], present: np.ndarray, most: int, *, first: np.ndarray) -> np.ndarray:
    """Which images stay when each finding may keep at most `most` images: bool [N].

    The images are visited in a random order that is the same in every run. An image stays if none of its findings has
    reached the limit; an image with none of the findings always stays. Whole images are removed; no label is changed.

    Args:
        present: bool [N, C], for the findings that are made rare.
        most: the limit per finding. A finding may keep fewer images, because its images may show others at the limit.
        first: bool [N], images that are visited before all others.
    """
    order = np.lexsort((unit_intervals("films that stay", names=images), ~first))
    left = np.full(present.shape[1], most)
    stay = np.ones(len(images), dtype=bool)
    for film in order.tolist():
        stay[film] = bool((left[present[film]] > 0).all())
        left -= stay[film] * present[film]
    return stay


def scored_images(data: Path) -> set[str]:
    """Names of the scored images: all that are training or validation images in at least one fold."""
    rows = pd.concat([read_parquet(fold / LABELS, ["image", "split"]) for fold in sorted(data.glob("fold*"))])
    return set(rows.loc[rows["split"] != "test", "image"])
