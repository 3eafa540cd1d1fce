"""Films in folds by patient: every film is scored by a model that has seen no film of its patient.

The films of the data set itself are trained on and scored. More films, with boxes perhaps, may stand beside them: maps
are judged on these too, but an arm must say so to be trained on them, because they may be chosen by what they show.
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
    """test, val, train or "" (in no part of this fold) of each film, by its patient's id alone.

    Args:
        patients: [N].
        scored: bool [N]; of the other films those of the fold's own patients are test, and those of patients who are
            trained on are "more".
    """
    place = unit_intervals("fold of a study", folds, names=patients.tolist())
    mine = (place * folds).astype(int) == fold
    chooses = unit_intervals("validation of a fold", fold, names=patients.tolist()) < VALIDATION
    return np.select([mine, ~scored & chooses, ~scored, chooses], ["test", "", "more", "val"], "train").astype(object)


def kept_films(images: Sequence[str], present: np.ndarray, most: int) -> np.ndarray:
    """Which films stay where a finding may be in so many only: bool [N].

    They come in an order by lot, the same in every run, and a film stays if each finding in it has room. A film with
    none of them always stays. Whole films leave; no label is changed.

    Args:
        present: bool [N, C] of the findings that are made rare.
        most: films that a finding keeps; it may keep fewer where others in its films have no room.
    """
    order, left = np.argsort(unit_intervals("films that stay", names=images)), np.full(present.shape[1], most)
    stay = np.ones(len(images), dtype=bool)
    for film in order.tolist():
        stay[film] = bool((left[present[film]] > 0).all())
        left -= stay[film] * present[film]
    return stay


def scored_images(data: Path) -> set[str]:
    """Names of the films that are scored: all that some fold trains on or chooses an epoch by."""
    rows = pd.concat([read_parquet(fold / LABELS, ["image", "split"]) for fold in sorted(data.glob("fold*"))])
    return set(rows.loc[rows["split"] != "test", "image"])
