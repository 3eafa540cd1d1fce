"""The films with a tail finding that a base generator has seen, as the labels that it learned from have them."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from study.pools import PoolImage
from trcgl.artifacts.shards import ShardedImages


def tail_films(table: pd.DataFrame, class_names: Sequence[str], tail: Sequence[str]) -> list[PoolImage]:
    """One entry per training film and tail finding that it is labelled with; a film with two comes for both.

    Args:
        table: labels of the base's films: image, split, a column per finding.
        class_names: findings that a classifier is trained on; others are left out.
        tail: those of them that are rare in the classifier's own data; they need not be rare here.
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
    """uint8 [S, S] of each."""
    return (images.read([extra.source])[0] for extra in extras)
