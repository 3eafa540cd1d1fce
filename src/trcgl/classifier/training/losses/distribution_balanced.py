"""Distribution-Balanced Loss: weights that consider co-occurrence, and negatives whose gradient fades out early.

https://arxiv.org/abs/2007.09654, section 3, with the focal factor of the authors' released configurations
(wutong16/DistributionBalancedLoss; the loss is called DB there and in the paper's tables, DB-0FL has no focal factor).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from trcgl.classifier.training.counts import ClassCounts
from trcgl.classifier.training.losses.base import MultiLabelLoss


class DistributionBalancedLoss(MultiLabelLoss):
    """Re-balanced weighting and negative-tolerant regularisation of the focal loss.

    Weights: r_c = (1 / n_c) / (sum of 1 / n_k over the image's positives k), where n is the number of positives of a
    class. It is the intended rate at which class-aware sampling samples an image for class c, divided by the rate at
    which it samples the image for any of its classes. Positive and negative terms are both weighted by
    alpha + sigmoid(beta (r_c - mu)): in an image with a rare finding, the common findings hardly count.

    Tolerance: z = logit - v_c, with v_c = -kappa * log odds of class c. The loss of a positive is softplus(-z). That of
    a negative is softplus(tolerance * z) / tolerance, whose gradient vanishes soon after the decision boundary.
    kappa = bias / tolerance, as in the authors' code. The focal factor is the probability of the wrong answer,
    sigmoid(-z) or sigmoid(tolerance * z), to the power gamma. Gradients flow through it. The result is multiplied by
    balance.

    Choices that the paper leaves open:
    - An image without positives, which class-aware sampling never samples: r goes to infinity as the sum goes to 0, so
      every term has the largest weight, alpha + 1. The authors' code divides by 0 and gets the same weight.
    - Unknown targets do not count as positives in that sum, so they can only increase the weights of an image.
    - A class without positives is treated as if it had one. Shares are computed from known targets.
    - We repeat images by capped repeat factors instead of class-aware sampling, so r corrects for more repetition than
      there is.

    Args:
        counts: see ClassCounts.
        alpha, beta, mu, tolerance, bias, gamma, balance: the authors' configuration for COCO-LT, where they are called
            map_param alpha, beta and gamma, neg_scale, init_bias, focal gamma and balance_param.
    """

    inverse: Tensor
    class_bias: Tensor

    def __init__(
        self,
        counts: ClassCounts,
        alpha: float = 0.1,
        beta: float = 10.0,
        mu: float = 0.2,
        tolerance: float = 2.0,
        bias: float = 0.05,
        gamma: float = 2.0,
        balance: float = 2.0,
    ):
        super().__init__(counts)
        self.alpha = alpha
        self.beta = beta
        self.mu = mu
        self.tolerance = tolerance
        self.gamma = gamma
        self.balance = balance
        self.register_buffer("inverse", counts.positives.clamp(min=1.0).reciprocal().float())
        self.register_buffer("class_bias", -bias / tolerance * self.log_odds)

    def terms(self, logits: Tensor, targets: Tensor) -> Tensor:
        ratio = self.inverse / (targets * self.inverse).sum(dim=1, keepdim=True)  # infinite without positives
        weight = self.alpha + torch.sigmoid(self.beta * (ratio - self.mu))
        weight = weight * (targets + (1.0 - targets) / self.tolerance)
        shifted = logits - self.class_bias
        wrong = torch.where(targets == 1, -shifted, self.tolerance * shifted)  # logit of the wrong answer
        return self.balance * weight * wrong.sigmoid() ** self.gamma * F.softplus(wrong)

    def initial_logits(self) -> Tensor:
        """The logits at which tolerance * z equals the log odds: nearly all terms of a rare class are negatives."""
        return self.class_bias + self.log_odds / self.tolerance
