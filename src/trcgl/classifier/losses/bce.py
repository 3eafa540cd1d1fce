"""Binary cross-entropy, each class on its own."""

from torch import Tensor, nn
from torch.nn import functional as F

from trcgl.classifier.losses.reduction import split_unknown, sum_classes_mean_batch


class BinaryCrossEntropy(nn.Module):
    """-log p for positives, -log(1 - p) for negatives."""

    def forward(self, logits: Tensor, targets: Tensor, sample_weight: Tensor) -> Tensor:
        targets, known = split_unknown(targets)
        terms = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return sum_classes_mean_batch(terms, known, sample_weight)
