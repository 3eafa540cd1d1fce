"""Focal loss: well-classified terms are down-weighted. https://arxiv.org/abs/1708.02002, equation 5."""

from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from trcgl.classifier.training.counts import ClassCounts
from trcgl.classifier.training.losses.base import MultiLabelLoss


class FocalLoss(MultiLabelLoss):
    """-alpha (1 - p)^gamma log p for positives, -(1 - alpha) p^gamma log(1 - p) for negatives, by torchvision.

    Args:
        counts: see ClassCounts.
        alpha, gamma: the paper's best values (section 5.1) and torchvision's defaults. With alpha = 0.25 a positive
            weighs less than a negative, because with gamma = 2 easy negatives hardly count.
    """

    def __init__(
        self,
        counts: ClassCounts,
        alpha: float = 0.25,
        gamma: float = 2.0,
    ):
        super().__init__(counts)
        self.alpha = alpha
        self.gamma = gamma

    def terms(self, logits: Tensor, targets: Tensor) -> Tensor:
        return sigmoid_focal_loss(logits, targets, alpha=self.alpha, gamma=self.gamma, reduction="none")
