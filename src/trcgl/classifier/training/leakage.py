"""The last check before training: no patient is in two splits, and no image has a near copy in another split."""

from pathlib import Path

from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.training.near_copies import near_copies
from trcgl.runtime.errors import InputError, and_more
from trcgl.runtime.files import read_parquet

SHOWN = 3


def stop_if_leaking(labels: str | Path, images: str | Path) -> None:
    """Check a label table and the cached images of its rows.

    Raises:
        InputError: a patient is in two splits, or an image nearly equals one of another split.
    """
    frame = read_parquet(labels, ["image", "patient", "split"], only=True)
    splits = frame.groupby("patient")["split"].nunique()
    if (splits > 1).any():
        raise InputError(
            f"{labels}: patient '{splits.idxmax()}' is in several splits{and_more(int((splits > 1).sum()) - 1)}; "
            "run dvc repro parse_labels"
        )
    shards = ShardedImages(images)
    frame = frame[[image in shards for image in frame["image"]]]
    pairs = near_copies(shards, frame["image"].tolist(), frame["split"].to_numpy())
    if pairs:
        shown = "; ".join(f"{one} and {other}" for one, other in pairs[:SHOWN])
        raise InputError(
            f"{images}: {'1 image has' if len(pairs) == 1 else f'{len(pairs)} images have'} a near copy in another "
            f"split ({shown}); remove one of each pair from the label table, or put both patients into one split with "
            "'dataset.split_file'"
        )
