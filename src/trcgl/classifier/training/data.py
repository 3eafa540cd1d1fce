"""The trainer's input: pixels by row, targets with unknowns, and the rows of training, validation, synthetic images."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.labelled_images import labelled_images
from trcgl.artifacts.pixels import Pixels, StoredPixels, stored_and_resized
from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.training.counts import ClassCounts
from trcgl.classifier.training.known_places import KnownPlaces, read_places
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_parquet
from trcgl.runtime.logging import get_logger

log = get_logger("data")


@dataclass(frozen=True)
class TrainingData:
    """Images and labels of one training run. Test images are not in it.

    Attributes:
        images: N images by row; see Pixels.
        targets: float32 [N, C] of 1, 0 and NaN (unknown).
        names: N image ids, for messages.
        train, val: row numbers of real images.
        class_names: C findings.
        class_groups: head, medium or tail for each.
        synthetic: M row numbers of generated images; they are used for training only, and excluded from all counts.
        synthetic_target: int [M], the column of the finding that each was generated for.
        places: known positions of findings in some training images; None: no position is known.
    """

    images: Pixels
    targets: np.ndarray
    names: Sequence[str]
    train: np.ndarray
    val: np.ndarray
    class_names: tuple[str, ...]
    class_groups: tuple[str, ...]
    synthetic: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    synthetic_target: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    places: KnownPlaces | None = None

    @property
    def image_size(self) -> int:
        return self.images[np.array([0])].shape[-1]

    def counts(self) -> ClassCounts:
        """Class counts of the real training images."""
        return ClassCounts.of(self.targets[self.train])

    def __repr__(self) -> str:
        return (
            f"TrainingData({len(self.train)} training, {len(self.val)} validation and {len(self.synthetic)} synthetic "
            f"images of {self.image_size} px, {len(self.class_names)} findings)"
        )


def load_training_data(
    images: str | Path,
    labels: str | Path,
    classes: str | Path,
    *,
    synthetic: str | Path | None = None,
    audit: str | Path | None = None,
    places: Path | None = None,
    place_weight: float = 0.0,
) -> TrainingData:
    """Join cached images with their labels, for the training and validation splits only.

    Args:
        images: folder of shards.
        labels: labels.parquet; a labelled image without pixels is left out and reported.
        classes: classes.json, the order of the findings.
        synthetic: folder of generated shards with samples.parquet; only samples the audit accepted are taken.
        audit: synthetic_audit.parquet; needed with `synthetic`.
        places: file written by read_boxes.
        place_weight: weight of the loss on known positions, see known_places.py; with 0, `places` is not read.

    Raises:
        InputError: a finding has no column, no training image is left, a sample names an unknown finding, or a
            generated image is in the label table.
    """
    listed = read_classes(classes)["classes"]
    class_names = tuple(entry["name"] for entry in listed)
    shards = ShardedImages(images)
    table = read_parquet(labels, ["image", "split"])
    real = labelled_images(
        table, class_names, shards.index["image"], ("train", "val"),
        file=labels, named_by=f"{classes} lists; run dvc repro parse_labels",
    )  # fmt: skip
    targets, names, train = real.targets, real.names, real.split("train")
    if not len(train):
        reasons = Path(images).parent / "unreadable.parquet"
        raise InputError(f"no training image is in {images}; the reasons are in {reasons}")
    _check_left(table, class_names, targets[train], Path(labels), Path(images))
    pixels = np.empty((0, shards.size, shards.size), np.uint8)
    accepted = Accepted([], pixels, targets[:0], np.empty(0, np.int64))
    if synthetic is not None and audit is not None:
        accepted = load_accepted(Path(synthetic), Path(audit), class_names, shards.size)
        if listed_twice := sorted(set(names) & set(accepted.names)):
            raise InputError(f"{labels}: '{listed_twice[0]}' is a generated image; remove it from the label table")
    data = TrainingData(
        images=StoredPixels(shards, names, accepted.pixels),
        targets=np.concatenate([targets, accepted.targets]),
        names=names + accepted.names,
        train=train,
        val=real.split("val"),
        class_names=class_names,
        class_groups=tuple(entry["group"] for entry in listed),
        synthetic=np.arange(len(names), len(names) + len(accepted.names)),
        synthetic_target=accepted.target,
        places=read_places(places, names, train, class_names, place_weight) if places and place_weight else None,
    )
    log.info("%r", data)
    return data


def _check_left(
    table: pd.DataFrame, class_names: Sequence[str], targets: np.ndarray, labels: Path, images: Path
) -> None:
    """Stop if no training image of a finding could be read: nothing could be learned about it.

    Args:
        table: all labelled images.
        targets: float32 [n, C] of the training images that have pixels.
    """
    listed = (table.loc[table["split"] == "train", list(class_names)] == 1).sum()
    for name, left in zip(class_names, (targets == 1).sum(axis=0).tolist(), strict=True):
        if listed[name] and not left:
            raise InputError(
                f"{labels}: none of the {listed[name]} training images with '{name}' could be read (the reasons are in "
                f"{images.parent / 'unreadable.parquet'}); mend these files, or leave the finding out of "
                "'labels.findings'"
            )


@dataclass(frozen=True)
class Accepted:
    """The samples that the audit accepted, in the order of the samples.

    Attributes:
        names: M sample names.
        pixels: M images, read from disk when needed.
        targets: float32 [M, C]: 1 for the findings that a sample was generated to show, NaN for those that its plan
            leaves unknown (those of the real images that it is made of) or that the audit could not verify, 0 for the
            rest.
        target: int [M], the column of the finding that each was generated for.
    """

    names: list[str]
    pixels: Pixels
    targets: np.ndarray
    target: np.ndarray


def load_accepted(folder: Path, audit: Path, class_names: tuple[str, ...], size: int) -> Accepted:
    """The accepted samples of a folder of generated shards, resized to `size`."""
    samples = read_parquet(folder / "samples.parquet", ["sample", "target", "findings", "unknown"])
    verdicts = read_parquet(audit, ["sample", "accepted", "unverified"])
    accepted = verdicts.loc[verdicts["accepted"].astype(bool), ["sample", "unverified"]]
    samples = samples.merge(accepted, on="sample")
    targets = np.zeros((len(samples), len(class_names)), dtype=np.float32)
    column = {name: c for c, name in enumerate(class_names)}
    # Later entries overwrite earlier ones: a requested finding counts as present, unless the audit could not verify it
    for value, column_of, file in (
        (np.nan, "unknown", folder / "samples.parquet"), (1.0, "findings", folder / "samples.parquet"),
        (np.nan, "unverified", audit),
    ):  # fmt: skip
        for row, (sample, findings) in enumerate(zip(samples["sample"], samples[column_of], strict=True)):
            for finding in findings:
                if finding not in column:
                    raise InputError(
                        f"{file}: sample {sample} names '{finding}', which classes.json lacks; run dvc repro"
                    )
                targets[row, column[finding]] = value
    names = samples["sample"].tolist()
    pixels = stored_and_resized(folder, names, size)
    # The target is one of the findings, so its column is known
    target = np.array([column[finding] for finding in samples["target"]], dtype=np.int64)
    return Accepted(names, pixels, targets, target)
