"""A head by the name a params file gives it."""

from typing import Any

from torch import Tensor

from trcgl.classifier.heads.linear import LinearHead
from trcgl.classifier.heads.trcgl import TrcglHead

Head = LinearHead | TrcglHead


def build_head(name: str, features: int, classes: int, options: dict[str, Any], adjacency: Tensor | None) -> Head:
    """The head called `name`.

    Args:
        name: `linear` or `trcgl`.
        features: channels of the backbone's map.
        classes: number of logits.
        options: the head's keyword arguments.
        adjacency: float32 [C, C]; `trcgl` needs it.
    """
    if name == "linear":
        return LinearHead(features, classes)
    if name == "trcgl":
        if adjacency is None or adjacency.shape != (classes, classes):
            raise ValueError(f"head 'trcgl' needs an adjacency of {classes} x {classes}")
        return TrcglHead(features, adjacency, **options)
    raise ValueError(f"head '{name}' is not known; known: linear, trcgl")
