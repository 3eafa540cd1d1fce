"""What the stages leave, gone, damaged or not what it was."""

from pathlib import Path

import numpy as np
import pandas as pd

from tests.input_cases.case import BASELINE, Case
from tests.input_cases.spoiling import cut, delete


def leak_patient(folder: Path) -> None:
    path = folder / "data/labels/labels.parquet"
    frame = pd.read_parquet(path)
    frame.loc[frame["split"] == "test", "patient"] = frame.loc[frame["split"] == "train", "patient"].iloc[0]
    frame.to_parquet(path)


def leak_picture(folder: Path) -> None:
    """A test patient's image is another export of a training patient's: other contrast, other bytes."""
    frame = pd.read_parquet(folder / "data/labels/labels.parquet")
    train, test = (frame.loc[frame["split"] == split, "image"].iloc[0] for split in ("train", "test"))
    index = pd.read_parquet(folder / "data/images/classifier/index.parquet").set_index("image")["row"]
    path = folder / "data/images/classifier/shard-00000.npy"
    shard = np.load(path)
    shard[index[test]] = (shard[index[train]] * 0.8 + 20).astype(np.uint8)
    np.save(path, shard)


MADE_FILES = (
    Case(
        "Made files",
        "a table deleted",
        BASELINE,
        delete("data/labels/labels.parquet"),
        "data/labels/labels.parquet: not found; dvc repro makes what the stages write",
    ),
    Case(
        "Made files",
        "the index of the cache deleted",
        BASELINE,
        delete("data/images/classifier/index.parquet"),
        "data/images/classifier/index.parquet: not found; an image folder holds index.parquet beside its shards",
    ),
    Case(
        "Made files",
        "a shard cut short",
        BASELINE,
        cut("data/images/classifier/shard-00000.npy"),
        "data/images/classifier/shard-00000.npy: damaged or cut short; run cache_images again",
    ),
    Case(
        "Made files",
        "a patient in two splits",
        BASELINE,
        leak_patient,
        "data/labels/labels.parquet: patient '0' is in several splits (so are 0 more); run parse_labels again",
    ),
    Case(
        "Made files",
        "a picture in two splits, under two patients",
        BASELINE,
        leak_picture,
        "data/images/classifier: 1 images nearly equal one in another split (... and ...); leave one of each pair out of "
        "the label table, or put both patients into one split with 'dataset.split_file'",
    ),
)
