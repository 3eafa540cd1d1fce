"""Class-balanced cross-entropy with a logit margin: the training loss of TRCGL-Net's repository.

The repository (https://arxiv.org/abs/2607.00975) calls it Distribution-Balanced. It is not the published loss of that
name (distribution_balanced.py), so here its name describes what it does.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from trcgl.classifier.training.counts import ClassCounts
from trcgl.classifier.training.losses.base import MultiLabelLoss
from trcgl.classifier.training.losses.effective_number import effective_number


class EffectiveNumberMargin(MultiLabelLoss):
    """w_c^power * BCE(logit - m_c * target) on positive and negative terms alike.

    e_c is the effective number of class c's positives. w_c is 1 / e_c, scaled to mean 1. m_c grows linearly with e_c,
    from 0 for the rarest class to `margin` for the most common one, so positives of head classes need higher logits. A
    class without positives is treated as if it had one.

    Args:
        counts: see ClassCounts.
        beta, power, margin: the repository's values.
    """

    weight: Tensor
    class_margin: Tensor

    def __init__(
        self,
        counts: ClassCounts,
        beta: float = 0.9999,
        power: float = 0.5,
        margin: float = 0.2,
    ):
        super().__init__(counts)
        effective = effective_number(counts.positives.clamp(min=1.0), beta)
        weight = effective.reciprocal() / effective.reciprocal().mean()
        spread = (effective.max() - effective.min()).clamp(min=torch.finfo(torch.float64).tiny)
        self.register_buffer("weight", (weight**power).float())
        self.register_buffer("class_margin", (margin * (effective - effective.min()) / spread).float())

    def terms(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = logits - self.class_margin * targets
        return self.weight * F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
