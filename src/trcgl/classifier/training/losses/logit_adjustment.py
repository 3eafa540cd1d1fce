"""Logit adjustment: the prior is added in training, so that the model learns what the image adds to it.

https://arxiv.org/abs/2007.07314, equation 10.
"""

from torch import Tensor
from torch.nn import functional as F

from trcgl.classifier.training.counts import ClassCounts
from trcgl.classifier.training.losses.base import MultiLabelLoss


class LogitAdjustedLoss(MultiLabelLoss):
    """BCE(logit + tau * log odds of the class).

    The paper adds the log prior of each class to its logit before the softmax; of the two classes, present and absent,
    the difference of the two is the log odds. Nothing is added at inference: sigmoid(logit) is then the probability
    as if every finding were as often present as not. Above 0.5 is the answer of least balanced error; as a probability
    it is far too high for rare findings. Repeated images raise a finding's share above the prior that is added, and
    its logits end up higher by as much.

    Args:
        counts: see ClassCounts.
        tau: 1, for which the paper proves consistency.
    """

    def __init__(
        self,
        counts: ClassCounts,
        tau: float = 1.0,
    ):
        super().__init__(counts)
        self.tau = tau

    def terms(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits + self.tau * self.log_odds, targets, reduction="none")

    def initial_logits(self) -> Tensor:
        """The log odds less what the loss adds: 0 for tau = 1, or the prior would count twice."""
        return (1.0 - self.tau) * self.log_odds
