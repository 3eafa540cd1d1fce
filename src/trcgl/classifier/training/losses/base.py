"""What every loss shares: unknown targets masked, terms summed the same way, and where training starts."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from trcgl.classifier.training.counts import ClassCounts


class MultiLabelLoss(nn.Module, ABC):
    """`loss(logits [B, C], targets [B, C] of 1, 0 and NaN, sample_weight [B]) -> scalar`.

    Unknown targets count nothing; the terms are summed over classes (a class's pull does not depend on how many others
    there are) and averaged over the batch, a sample of weight 0.5 counting half as much as one of weight 1.

    Args:
        counts: see ClassCounts.

    Attributes:
        log_odds: float32 [C], log of positives to negatives. Half an image is added to both, so that a class without
            either has odds.
    """

    log_odds: Tensor

    def __init__(self, counts: ClassCounts):
        super().__init__()
        odds = (counts.positives + 0.5) / (counts.negatives + 0.5)
        self.register_buffer("log_odds", odds.log().float())

    @abstractmethod
    def terms(self, logits: Tensor, targets: Tensor) -> Tensor:
        """[B, C] logits and targets of 1 and 0 -> [B, C]; finite. An unknown target comes as 0, its term is dropped."""

    def forward(self, logits: Tensor, targets: Tensor, sample_weight: Tensor) -> Tensor:
        known = (~targets.isnan()).to(logits.dtype)
        terms = self.terms(logits, targets.nan_to_num(0.0))
        return ((terms * known).sum(dim=1) * sample_weight).mean()

    def initial_logits(self) -> Tensor:
        """[C]: the logits to start training from, so that the loss begins with each class's share as its probability.

        Focal Loss, https://arxiv.org/abs/1708.02002, section 3.3: a start that short runs cannot reach by steps, and
        at which the many negatives pull no more than they should.
        """
        return self.log_odds

    def start_epoch(self, share: float) -> None:
        """Called before every epoch, for a loss that changes on the way.

        Args:
            share: epochs done of all epochs, in [0, 1). It is all that a loss may depend on: a run continued after an
                interruption then trains with the loss of an uninterrupted one.
        """
