"""Label-distribution-aware margins with deferred re-weighting. https://arxiv.org/abs/1906.07413, sections 3.2, 3.3."""

from torch import Tensor
from torch.nn import functional as F

from trcgl.classifier.training.counts import ClassCounts
from trcgl.classifier.training.losses.base import MultiLabelLoss
from trcgl.classifier.training.losses.effective_number import effective_number


class LdamDrw(MultiLabelLoss):
    """BCE(logit - scale * m_c * target), m_c = max_margin * (n_min / n_c)^(1/4), re-weighted late in training.

    The paper's loss is a softmax over mutually exclusive classes. Here every class is a separate binary problem: its
    positives and negatives are the paper's two classes, and their softmax is a sigmoid.

    Margins (equations 12, 13): the rarer a class, the larger the margin of its positives. Negatives have no margin, as
    is usual for this loss on multi-label X-rays (https://arxiv.org/abs/2603.02294). A margin for negatives would be
    small, because they are many, and would only be equivalent to a larger margin for the positives by the same amount
    and another bias (the paper's step to equation 7).

    Scale: the paper's logits are cosines, multiplied by `scale` after the margin is subtracted. The heads here have no
    cosines. Their logits correspond to the scaled ones, so the margin is scaled instead. The loss is the same, and the
    trained probability is the one used at inference: sigmoid(logit). The rarest class's margin is
    scale * max_margin = 15 logits, so the gradient of its positives hardly fades.

    Weights (Algorithm 1): from `deferred_until` on, a term is weighted by 1 / effective number of the positives of its
    class (for a positive term) or of the negatives (for a negative one). The mean of the weights over all known
    training labels is 1, as the paper keeps the mean in a batch. With a mean of 1 over classes, as in its code, the
    loss would shrink by more than ten times in mid-training, because most labels are negative. A class without
    positives (or negatives) is treated as if it had one.

    Args:
        counts: see ClassCounts.
        max_margin, scale, beta: the values of the authors' code (kaidic/LDAM-DRW).
        deferred_until: share of the epochs trained with all weights 1; the paper's 160 of 200. The last epoch and a
            retrained head always have the other weights; early stopping (`patience`) may end a run before them.
    """

    margin: Tensor
    positive_weight: Tensor
    negative_weight: Tensor

    def __init__(
        self,
        counts: ClassCounts,
        max_margin: float = 0.5,
        scale: float = 30.0,
        beta: float = 0.9999,
        deferred_until: float = 0.8,
    ):
        super().__init__(counts)
        positive = counts.positives.clamp(min=1.0)
        negative = counts.negatives.clamp(min=1.0)
        self.register_buffer("margin", (scale * max_margin * (positive.min() / positive) ** 0.25).float())
        positive_weight = effective_number(positive, beta).reciprocal()
        negative_weight = effective_number(negative, beta).reciprocal()
        total = (positive * positive_weight + negative * negative_weight).sum()
        mean = total / (positive + negative).sum()
        self.register_buffer("positive_weight", (positive_weight / mean).float())
        self.register_buffer("negative_weight", (negative_weight / mean).float())
        self.deferred_until = deferred_until
        self.reweighted = False

    def start_epoch(self, share: float) -> None:
        self.reweighted = share >= self.deferred_until

    def terms(self, logits: Tensor, targets: Tensor) -> Tensor:
        terms = F.binary_cross_entropy_with_logits(logits - self.margin * targets, targets, reduction="none")
        if self.reweighted:
            terms = terms * (targets * self.positive_weight + (1.0 - targets) * self.negative_weight)
        return terms
