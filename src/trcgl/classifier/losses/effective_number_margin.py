"""Class-balanced cross-entropy with a logit margin: what TRCGL-Net's repository trains with.

The repository (https://arxiv.org/abs/2607.00975) calls it Distribution-Balanced; it is not the loss of that name
(https://arxiv.org/abs/2007.09654), so here it says what it does. Weights by effective number:
https://arxiv.org/abs/1901.05555, section 3.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trcgl.classifier.losses.reduction import split_unknown, sum_classes_mean_batch


class EffectiveNumberMargin(nn.Module):
    """w_c^power * BCE(logit - m_c * target) on positive and negative terms alike.

    The effective number of class c is e_c = (1 - beta^n_c) / (1 - beta). w_c = 1 / e_c, scaled to mean 1. m_c grows
    linearly with e_c from 0 for the rarest class to `margin` for the most common: head classes must be surer of their
    positives. A class without positives is weighted as if it had one.

    Args:
        class_names: the C classes in the order of the logits.
        positives: real training positives by class name.
        beta, power, margin: the repository's values.
    """

    weight: Tensor
    class_margin: Tensor

    def __init__(
        self,
        class_names: tuple[str, ...],
        positives: Mapping[str, int],
        beta: float = 0.9999,
        power: float = 0.5,
        margin: float = 0.2,
    ):
        super().__init__()
        count = torch.tensor([max(1, positives[name]) for name in class_names], dtype=torch.float64)
        effective = (1.0 - beta**count) / (1.0 - beta)
        weight = effective.reciprocal() / effective.reciprocal().mean()
        spread = (effective.max() - effective.min()).clamp(min=torch.finfo(torch.float64).tiny)
        self.register_buffer("weight", (weight**power).float())
        self.register_buffer("class_margin", (margin * (effective - effective.min()) / spread).float())

    def forward(self, logits: Tensor, targets: Tensor, sample_weight: Tensor) -> Tensor:
        targets, known = split_unknown(targets)
        logits = logits - self.class_margin * targets
        terms = self.weight * F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return sum_classes_mean_batch(terms, known, sample_weight)
