"""A folder of films and labels put together from others: what a run trains on that is no data set of its own."""

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
    """Training and validation films of several data folders as one.

    A finding that is no class of a data set has not one label in its training films, so it is 0 there; in its
    validation films, which may have some, it is unknown.

    Args:
        sources: data folders as the pipeline leaves them, with classes from one positive on.
        folder: see `write_films`.

    Raises:
        ValueError: an image is in two of them.
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
