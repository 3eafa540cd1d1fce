"""The real images that the generator is trained on, and how the batch of a step is sampled from them.

The generator is trained on real images of the training split only. Validation images only measure its loss, and test
images are not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from trcgl.artifacts.labelled_images import labelled_images
from trcgl.diffusion.generator.wording import patient_words
from trcgl.numerics.seeding import rng
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger

log = get_logger("diffusion")

ABOUT = ("image", "patient", "split", "projection", "sex", "age")
"""Columns of the label table that the generator uses in addition to the findings."""


@dataclass(frozen=True)
class TrainingRows:
    """Images of one split with their labels and patient data.

    Attributes:
        images: names, in label-table order.
        patients: the patient of each image.
        projections: view of each image ("" when unknown).
        patient_words: the prompt's words for each image's patient, see `wording.patient_words`.
        findings: present findings of each image, in class order; an unknown finding is not named.
        unknown: findings of each image that its labels leave unknown, in class order.
        carriers: tail finding -> positions of the rows that have it; only findings with at least one row.
        normal: positions of the rows without any present finding. Unknown findings of such a row stay unknown in
            samples made from it.
    """

    images: tuple[str, ...]
    patients: tuple[str, ...]
    projections: tuple[str, ...]
    patient_words: tuple[str, ...]
    findings: tuple[tuple[str, ...], ...]
    unknown: tuple[tuple[str, ...], ...]
    carriers: dict[str, np.ndarray]
    normal: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def normal_of_view(self) -> dict[str, np.ndarray]:
        """View -> those of `normal` with this view; only views that have one."""
        views = np.array([self.projections[row] for row in self.normal])
        return {view: self.normal[views == view] for view in np.unique(views).tolist()}


def class_names(classes: dict[str, Any], group: str | None = None) -> list[str]:
    """Names in classes.json, of all groups or of one (head, medium, tail)."""
    return [entry["name"] for entry in classes["classes"] if group is None or entry["group"] == group]


def training_rows(labels: pd.DataFrame, classes: dict[str, Any], available: Sequence[str]) -> TrainingRows:
    """Rows of the training split whose image is available; see `labelled_rows`.

    Raises:
        InputError: a finding of classes.json is not a column of the labels, or no training image is left.
    """
    rows = labelled_rows(labels, classes, available, "train")
    if not len(rows):
        raise InputError(
            "no training image is in data/images/diffusion; the reasons are in data/images/unreadable.parquet"
        )
    doubtful = sum(not named and bool(open_) for named, open_ in zip(rows.findings, rows.unknown, strict=True))
    if doubtful:
        log.info(
            "%d of %d training images have no stated finding, but unknown ones: their prompts name none",
            doubtful, len(rows),
        )  # fmt: skip
    return rows


def labelled_rows(labels: pd.DataFrame, classes: dict[str, Any], available: Sequence[str], split: str) -> TrainingRows:
    """Rows of one split whose image is available, possibly none.

    Args:
        labels: data/labels/labels.parquet, columns ABOUT among them.
        classes: data/labels/classes.json.
        available: image names in the diffusion cache; unreadable images are not there.

    Raises:
        InputError: a finding of classes.json is not a column of the labels.
    """
    names = class_names(classes)
    real = labelled_images(labels, names, available, (split,))
    present = real.targets == 1
    columns = {name: np.flatnonzero(present[:, names.index(name)]) for name in class_names(classes, "tail")}
    return TrainingRows(
        images=tuple(real.rows["image"].astype(str)),
        patients=tuple(real.rows["patient"].astype(str)),
        projections=tuple(real.rows["projection"].fillna("").astype(str)),
        patient_words=tuple(
            patient_words(None if pd.isna(age) else int(age), sex)
            for age, sex in zip(real.rows["age"], real.rows["sex"].fillna("").astype(str), strict=True)
        ),
        findings=_named(names, present),
        unknown=_named(names, np.isnan(real.targets)),
        carriers={name: rows for name, rows in columns.items() if len(rows)},
        normal=np.flatnonzero(~present.any(axis=1)),
    )


def _named(names: Sequence[str], holds: np.ndarray) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(name for name, there in zip(names, row, strict=True) if there) for row in holds)


def mixed_batch(rows: TrainingRows, size: int, tail_fraction: float, *parts: str | int) -> np.ndarray:
    """Positions of one step's images: a fraction `tail_fraction` carries a tail finding, the rest are any images.

    If this is no whole number of images, it is rounded up or down at random, so that the fraction holds on average.
    First a finding is sampled uniformly, then one of its images. So every tail finding is sampled equally often.

    Returns:
        int64 [size].
    """
    draw = rng(*parts)
    wanted = size * tail_fraction if rows.carriers else 0
    tail = int(wanted + draw.random()) if wanted % 1 else int(wanted)
    carriers = list(rows.carriers.values())
    chosen = [draw.choice(carriers[draw.integers(len(carriers))]) for _ in range(tail)]
    return np.concatenate([np.array(chosen, dtype=np.int64), draw.integers(len(rows), size=size - tail)])
