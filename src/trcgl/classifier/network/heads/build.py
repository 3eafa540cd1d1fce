"""Builds a head from its name in a params file."""

from typing import Any

from torch import Tensor

from trcgl.classifier.network.heads.base import Head
from trcgl.classifier.network.heads.csra import CsraHead
from trcgl.classifier.network.heads.linear import LinearHead
from trcgl.classifier.network.heads.mldecoder import MlDecoderHead
from trcgl.classifier.network.heads.mlgcn import MlgcnHead
from trcgl.classifier.network.heads.trcgl import TrcglHead
from trcgl.classifier.network.heads.trcgl_paper import TrcglPaperHead

HEADS = ("linear", "csra", "mlgcn", "mldecoder", "trcgl_paper", "trcgl")
WITH_GRAPH = ("mlgcn", "trcgl_paper", "trcgl")


def build_head(
    name: str,
    features: int,
    classes: int,
    options: dict[str, Any],
    adjacency: Tensor | None = None,
    label_vectors: Tensor | None = None,
) -> Head:
    """The head called `name`.

    Args:
        name: one of HEADS.
        features: channels of the backbone's map.
        classes: number of logits.
        options: the head's keyword arguments.
        adjacency: float32 [C, C]; the heads in WITH_GRAPH need it.
        label_vectors: float32 [C, d]; `mlgcn` needs them, `trcgl` can start from them.
    """
    if name == "linear":
        return LinearHead(features, classes)
    if name == "csra":
        return CsraHead(features, classes, **options)
    if name == "mldecoder":
        return MlDecoderHead(features, classes, **options)
    if name not in WITH_GRAPH:
        raise ValueError(f"head '{name}' is not known; known: {', '.join(HEADS)}")
    if adjacency is None or adjacency.shape != (classes, classes):
        raise ValueError(f"head '{name}' needs an adjacency of {classes} x {classes}")
    if name == "trcgl_paper":
        return TrcglPaperHead(features, adjacency, **options)
    if label_vectors is not None and len(label_vectors) != classes:
        raise ValueError(f"head '{name}' needs {classes} label vectors; there are {len(label_vectors)}")
    if name == "trcgl":
        return TrcglHead(features, adjacency, label_vectors, **options)
    if label_vectors is None:
        raise ValueError(f"head '{name}' needs label vectors")
    return MlgcnHead(features, adjacency, label_vectors, **options)
