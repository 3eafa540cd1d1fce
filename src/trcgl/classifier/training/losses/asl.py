"""Asymmetric Loss: easy negatives are weighted down, positives hardly. https://arxiv.org/abs/2009.14119, section 2."""

import torch
from torch import Tensor
from torch.nn import functional as F

from trcgl.classifier.training.counts import ClassCounts
from trcgl.classifier.training.losses.base import MultiLabelLoss


class AsymmetricLoss(MultiLabelLoss):
    """-(1 - p)^gamma_positive log p for positives, -m^gamma_negative log(1 - m) for negatives, m = max(p - clip, 0).

    Gradients flow through the focusing factors too, as in the paper's gradient analysis and in timm by default. The
    authors' code and timm can also treat the factors as constants: the loss values are equal, the gradients differ.

    Args:
        counts: see ClassCounts.
        gamma_negative, gamma_positive, clip: see the formula; the defaults are those of the authors' code.
        constant_focus: whether the focusing factors are treated as constants in the gradient.
    """

    def __init__(
        self,
        counts: ClassCounts,
        gamma_negative: float = 4.0,
        gamma_positive: float = 1.0,
        clip: float = 0.05,
        constant_focus: bool = False,
    ):
        super().__init__(counts)
        self.gamma_negative = gamma_negative
        self.gamma_positive = gamma_positive
        self.clip = clip
        self.constant_focus = constant_focus

    def terms(self, logits: Tensor, targets: Tensor) -> Tensor:
        probability = logits.sigmoid()
        shifted = (probability - self.clip).clamp(min=0.0)
        focus_positive = (1.0 - probability) ** self.gamma_positive
        focus_negative = shifted**self.gamma_negative
        if self.constant_focus:
            focus_positive, focus_negative = focus_positive.detach(), focus_negative.detach()
        # log p from the logit stays finite where p rounds to 0; 1 - m is at least clip up to rounding
        positive = -focus_positive * F.logsigmoid(logits)
        negative = -focus_negative * torch.log1p(-shifted.clamp(max=1.0 - 1e-7))
        return targets * positive + (1.0 - targets) * negative
