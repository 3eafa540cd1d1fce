"""Binary cross-entropy, each class on its own."""

from torch import Tensor
from torch.nn import functional as F

from trcgl.classifier.training.losses.base import MultiLabelLoss


class BinaryCrossEntropy(MultiLabelLoss):
    """-log p for positives, -log(1 - p) for negatives."""

    def terms(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
