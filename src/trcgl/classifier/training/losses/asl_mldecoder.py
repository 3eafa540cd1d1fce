"""Asymmetric Loss in the form that ML-Decoder uses: positives at full weight, focusing factors as constants.

https://github.com/Alibaba-MIIL/ML_Decoder, train.py: gamma_neg 4, gamma_pos 0, clip 0.05, and
disable_torch_grad_focal_loss, so no gradient flows through the focusing factors.
"""

from trcgl.classifier.training.counts import ClassCounts
from trcgl.classifier.training.losses.asl import AsymmetricLoss


class MlDecoderAsymmetricLoss(AsymmetricLoss):
    """-log p for positives, -[m^4] log(1 - m) for negatives, m = max(p - 0.05, 0); [.] is constant in the gradient.

    Args:
        counts: see ClassCounts.
    """

    def __init__(self, counts: ClassCounts):
        super().__init__(counts, gamma_positive=0.0, constant_focus=True)
