"""Outputs of the stages that are missing, damaged or changed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from tests.input_cases.case import BASELINE, CACHE, COOCCURRENCE, PARSE, Case, Spoil
from tests.input_cases.spoiling import cut, delete, put


def leak_patient(folder: Path) -> None:
    path = folder / "data/labels/labels.parquet"
    frame = pd.read_parquet(path)
    frame.loc[frame["split"] == "test", "patient"] = frame.loc[frame["split"] == "train", "patient"].iloc[0]
    frame.to_parquet(path)


def leak_picture(folder: Path) -> None:
    """A test patient's image becomes another export of a training patient's: other contrast, other bytes."""
    frame = pd.read_parquet(folder / "data/labels/labels.parquet")
    train, test = (frame.loc[frame["split"] == split, "image"].iloc[0] for split in ("train", "test"))
    index = pd.read_parquet(folder / "data/images/classifier/index.parquet").set_index("image")["row"]
    path = folder / "data/images/classifier/shard-00000.npy"
    shard = np.load(path)
    shard[index[test]] = (shard[index[train]] * 0.8 + 20).astype(np.uint8)
    np.save(path, shard)


def without_training_images(folder: Path) -> None:
    frame = pd.read_parquet(folder / "data/labels/labels.parquet")
    path = folder / "data/images/classifier/index.parquet"
    index = pd.read_parquet(path)
    index[~index["image"].isin(frame.loc[frame["split"] == "train", "image"])].to_parquet(path)


def halved(name: str) -> Spoil:
    return lambda folder: put(name, (folder / name).read_bytes()[: (folder / name).stat().st_size // 2])(folder)


def without_column(name: str, column: str) -> Spoil:
    return lambda folder: pd.read_parquet(folder / name).drop(columns=column).to_parquet(folder / name)


def shard(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    """Changes the pixels in the classifier's first shard; the file itself stays intact."""

    def spoil(folder: Path) -> None:
        path = folder / "data/images/classifier/shard-00000.npy"
        np.save(path, change(np.load(path)))

    return spoil


def damaged(name: str, stage: str, reason: str = "...") -> str:
    return (
        f"data/{name}: damaged or cut short ({reason}); delete it, then restore it with dvc checkout data/{name} or "
        f"make it again with dvc repro --force --single-item {stage}"
    )


MADE_FILES = (
    Case(
        "Made files",
        "a table deleted",
        BASELINE,
        delete("data/labels/labels.parquet"),
        "data/labels/labels.parquet: No such file or directory; if a stage makes it, run dvc repro",
    ),
    Case(
        "Made files",
        "the index of the cache deleted",
        BASELINE,
        delete("data/images/classifier/index.parquet"),
        "data/images/classifier/index.parquet: not found; run dvc repro, which makes it and its shards",
    ),
    Case(
        "Made files",
        "a cache without a training image",
        BASELINE,
        without_training_images,
        "no training image is in data/images/classifier; the reasons are in data/images/unreadable.parquet",
    ),
    Case(
        "Made files",
        "a shard cut short",
        BASELINE,
        cut("data/images/classifier/shard-00000.npy"),
        damaged("images/classifier/shard-00000.npy", CACHE),
    ),
    Case(
        "Made files",
        "a shard overwritten with text",
        BASELINE,
        put("data/images/classifier/shard-00000.npy", "no picture"),
        damaged("images/classifier/shard-00000.npy", CACHE),
    ),
    Case(
        "Made files",
        "a shard with fewer images than its index",
        BASELINE,
        shard(lambda pixels: pixels[:-2]),
        damaged("images/classifier/shard-00000.npy", CACHE, "10 images, of which index.parquet lists 12"),
    ),
    Case(
        "Made files",
        "a shard of another data type",
        BASELINE,
        shard(lambda pixels: pixels.astype(np.float32)),
        damaged("images/classifier/shard-00000.npy", CACHE, "float32 of shape [12, 32, 32] are not grey square images"),
    ),
    Case(
        "Made files",
        "the index without a column",
        BASELINE,
        without_column("data/images/classifier/index.parquet", "row"),
        damaged("images/classifier/index.parquet", CACHE, "no column 'row'"),
    ),
    Case(
        "Made files",
        "the manifest overwritten with text",
        PARSE,
        put("data/manifest.parquet", "path,bytes\n"),
        damaged("manifest.parquet", "scan_images"),
    ),
    Case(
        "Made files",
        "the selection cut in half",
        CACHE,
        halved("data/labels/selected.parquet"),
        damaged("labels/selected.parquet", PARSE),
    ),
    Case(
        "Made files",
        "the labels cut in half",
        BASELINE,
        halved("data/labels/labels.parquet"),
        damaged("labels/labels.parquet", PARSE),
    ),
    Case(
        "Made files",
        "the labels empty",
        COOCCURRENCE,
        put("data/labels/labels.parquet", b""),
        damaged("labels/labels.parquet", PARSE),
    ),
    Case(
        "Made files",
        "the labels without a finding",
        COOCCURRENCE,
        without_column("data/labels/labels.parquet", "Nodule"),
        damaged("labels/labels.parquet", PARSE, "no column 'Nodule'"),
    ),
    Case(
        "Made files",
        "the classes cut short",
        COOCCURRENCE,
        cut("data/labels/classes.json"),
        damaged("labels/classes.json", PARSE),
    ),
    Case(
        "Made files",
        "the classes a list",
        COOCCURRENCE,
        put("data/labels/classes.json", "[]"),
        damaged("labels/classes.json", PARSE, "no key 'classes'"),
    ),
    Case(
        "Made files",
        "a class without a name",
        COOCCURRENCE,
        put("data/labels/classes.json", '{"classes": [{"group": "head"}]}'),
        damaged("labels/classes.json", PARSE, "'classes' is not a list of findings with name and group"),
    ),
    Case(
        "Made files",
        "a patient in two splits",
        BASELINE,
        leak_patient,
        "data/labels/labels.parquet: patient '0' is in several splits; run dvc repro parse_labels",
    ),
    Case(
        "Made files",
        "a picture in two splits, under two patients",
        BASELINE,
        leak_picture,
        "data/images/classifier: 1 image has a near copy in another split (... and ...); remove one of each pair from the "
        "label table, or put both patients into one split with 'dataset.split_file'",
    ),
)
