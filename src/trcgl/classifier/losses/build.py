"""A loss by the name a params file gives it."""

from collections.abc import Mapping

from torch import nn

from trcgl.classifier.losses.asl import AsymmetricLoss
from trcgl.classifier.losses.bce import BinaryCrossEntropy
from trcgl.classifier.losses.effective_number_margin import EffectiveNumberMargin


def build_loss(name: str, class_names: tuple[str, ...], positives: Mapping[str, int]) -> nn.Module:
    """The loss called `name`; `positives` are real training positives by class name."""
    if name == "bce":
        return BinaryCrossEntropy()
    if name == "asl":
        return AsymmetricLoss()
    if name == "effective_number_margin":
        return EffectiveNumberMargin(class_names, positives)
    raise ValueError(f"loss '{name}' is not known; known: bce, asl, effective_number_margin")
