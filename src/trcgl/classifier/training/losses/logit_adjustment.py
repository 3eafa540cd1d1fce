"""Logit adjustment: the prior is added to the logits in training, so the model learns only the image's evidence.

https://arxiv.org/abs/2007.07314, equation 10.
"""

from torch import Tensor
from torch.nn import functional as F

from trcgl.classifier.training.counts import ClassCounts
from trcgl.classifier.training.losses.base import MultiLabelLoss


class LogitAdjustedLoss(MultiLabelLoss):
    """BCE(logit + tau * log odds of the class).

    The paper adds the log prior of each class to its logit before the softmax. With two classes, present and absent,
    the difference of their log priors is the log odds. Nothing is added at inference: sigmoid(logit) is then the
    probability for a finding that is present in half of the images. A threshold of 0.5 minimises the balanced error,
    but as a probability the value is far too high for rare findings. Repeated images raise a finding's share above the
    prior that is added, and its logits end up higher by the same amount.

    Args:
        counts: see ClassCounts.
        tau: factor of the log odds; the paper proves consistency for 1.
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
        """The log odds minus what the loss adds, because the prior would otherwise count twice: 0 for tau = 1."""
        return (1.0 - self.tau) * self.log_odds
