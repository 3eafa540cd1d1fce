"""A folder of images and labels that is assembled from other folders, for a run to train on."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.shards import ShardedImages, ShardWriter
from trcgl.runtime.files import directory_beside, read_parquet, write_parquet

IMAGES, LABELS = "images", "labels.parquet"
KEPT_COLUMNS = ["image", "patient", "split"]


def write_films(folder: Path, table: pd.DataFrame, pixels: Iterable[np.ndarray], size: int) -> None:
    """Write `images` (shards) and `labels.parquet` into a folder.

    Args:
        table: image, patient, split and a column per finding (1, 0, missing: unknown).
        pixels: uint8 [size, size] of each row.
    """
    with directory_beside(folder / IMAGES) as shards:
        writer = ShardWriter(shards, size)
        for image, film in zip(table["image"], pixels, strict=True):
            writer.add(image, film)
        writer.close()
    write_parquet(folder / LABELS, table)


def joined_films(sources: Sequence[Path], folder: Path) -> None:
    """Merge the training and validation images of several data folders into one folder.

    A finding that is not a class of a data set has no positive training image there, so its label is 0 in the training
    images. Validation images may show it, so it is unknown in these.

    Args:
        sources: data folders as the pipeline leaves them, made with `labels.min_positives` 1.
        folder: see `write_films`.

    Raises:
        ValueError: an image is in two of the data folders.
    """
    parts, shards = [], [ShardedImages(source / "images/classifier") for source in sources]
    listed = [
        [entry["name"] for entry in read_classes(source / "labels/classes.json")["classes"]] for source in sources
    ]
    findings = list(dict.fromkeys(name for names in listed for name in names))
    for source, stored, names in zip(sources, shards, listed, strict=True):
        table = read_parquet(source / "labels/labels.parquet", [*KEPT_COLUMNS, *names])
        table = table[table["split"].isin(["train", "val"]) & table["image"].isin(set(stored.index["image"]))]
        absent = pd.Series(0, table.index, dtype="Int8").mask(table["split"] != "train")
        columns = {name: table[name] if name in names else absent for name in findings}
        parts.append(table[KEPT_COLUMNS].assign(**columns))
    pixels = (stored.read([image])[0] for stored, part in zip(shards, parts, strict=True) for image in part["image"])
    joined = pd.concat(parts, ignore_index=True)
    if joined["image"].duplicated().any():
        raise ValueError(f"{joined['image'][joined['image'].duplicated()].iloc[0]} is in two data sets")
    write_films(folder, joined, pixels, shards[0].size)
