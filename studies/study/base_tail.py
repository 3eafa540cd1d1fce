"""The images with a tail finding in a base generator's training data, by the labels that it learned from."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from study.pools import PoolImage
from trcgl.artifacts.shards import ShardedImages


def tail_films(table: pd.DataFrame, class_names: Sequence[str], tail: Sequence[str]) -> list[PoolImage]:
    """One entry per pair of a training image and a tail finding in its labels; an image with two findings has two.

    Args:
        table: labels of the base's images: image, split, a column per finding.
        class_names: findings that a classifier is trained on; others are left out.
        tail: those of `class_names` that are rare in the classifier's own data; they need not be rare here.
    """
    films = table[table["split"] == "train"]
    positive = {name: (films[name] == 1).fillna(False) for name in class_names if name in films}
    shown = pd.DataFrame(positive).to_numpy(dtype=bool)
    columns = list(positive)
    return [
        PoolImage(finding, tuple(name for name, there in zip(columns, shown[row], strict=True) if there), image)
        for finding in tail
        if finding in positive
        for row, image in enumerate(films["image"])
        if shown[row, columns.index(finding)]
    ]


def pictures(images: ShardedImages, extras: Sequence[PoolImage]) -> Iterator[np.ndarray]:
    """The pixels of each entry: uint8 [S, S]."""
    return (images.read([extra.source])[0] for extra in extras)
