"""Distribution-Balanced Loss: weights that know of co-occurrence, negatives that are not pressed without end.

https://arxiv.org/abs/2007.09654, section 3, with the focal factor of the authors' released configurations
(wutong16/DistributionBalancedLoss, the loss called DB there and in the paper's tables; DB-0FL is without).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from trcgl.classifier.training.counts import ClassCounts
from trcgl.classifier.training.losses.base import MultiLabelLoss


class DistributionBalancedLoss(MultiLabelLoss):
    """Re-balanced weighting and negative-tolerant regularisation of the focal loss.

    Weights: r_c = (1 / n_c) / (sum of 1 / n_k over the image's positives k), n the positives of a class, is how often
    class-aware sampling should have drawn an image for class c, over how often it draws it for any of its classes. A
    term is weighted by alpha + sigmoid(beta (r_c - mu)), positive and negative terms alike: in an image with a rare
    finding, the common ones hardly count.

    Tolerance: z = logit - v_c, v_c = -kappa * log odds of class c. A positive costs softplus(-z), a negative
    softplus(tolerance * z) / tolerance: its pull is gone soon after the decision. kappa = bias / tolerance, as in the
    authors' code. The focal factor is the probability of the wrong answer, sigmoid(-z) or sigmoid(tolerance * z), to
    the power gamma; it is differentiated, and the whole multiplied by balance.

    What the paper leaves open. An image without positives, which class-aware sampling never draws: r grows without
    bound as the sum goes to 0, so every term has the largest weight, alpha + 1 (the authors' code divides by 0 and
    arrives there too). Unknown targets do not count as positives in that sum: they make an image heavier, never
    lighter. A class without positives is counted as if it had one. Shares are those of known targets. And we repeat
    images by factors capped at a few times, not by class-aware sampling, so that r corrects for more repetition than
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
        """Where the stretched logit of a negative is the log odds: there nearly all terms of a rare class start."""
        return self.class_bias + self.log_odds / self.tolerance
