"""Builds a loss from its name in a params file."""

from trcgl.classifier.training.counts import ClassCounts
from trcgl.classifier.training.losses.asl import AsymmetricLoss
from trcgl.classifier.training.losses.asl_mldecoder import MlDecoderAsymmetricLoss
from trcgl.classifier.training.losses.base import MultiLabelLoss
from trcgl.classifier.training.losses.bce import BinaryCrossEntropy
from trcgl.classifier.training.losses.distribution_balanced import DistributionBalancedLoss
from trcgl.classifier.training.losses.effective_number_margin import EffectiveNumberMargin
from trcgl.classifier.training.losses.focal import FocalLoss
from trcgl.classifier.training.losses.ldam_drw import LdamDrw
from trcgl.classifier.training.losses.logit_adjustment import LogitAdjustedLoss

LOSSES: dict[str, type[MultiLabelLoss]] = {
    "bce": BinaryCrossEntropy,
    "focal": FocalLoss,
    "asl": AsymmetricLoss,
    "asl_mldecoder": MlDecoderAsymmetricLoss,
    "distribution_balanced": DistributionBalancedLoss,
    "effective_number_margin": EffectiveNumberMargin,
    "ldam_drw": LdamDrw,
    "logit_adjustment": LogitAdjustedLoss,
}


def build_loss(name: str, counts: ClassCounts) -> MultiLabelLoss:
    """The loss called `name`, with its paper's hyper-parameters."""
    if name not in LOSSES:
        raise ValueError(f"loss '{name}' is not known; known: {', '.join(LOSSES)}")
    return LOSSES[name](counts)
