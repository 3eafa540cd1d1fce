"""What all losses share: the masking of unknown targets, the reduction of the terms, and the initial logits."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from trcgl.classifier.training.counts import ClassCounts


class MultiLabelLoss(nn.Module, ABC):
    """`loss(logits [B, C], targets [B, C] of 1, 0 and NaN, sample_weight [B]) -> scalar`.

    Unknown targets are ignored. The terms are summed over classes, so the gradient of one class does not depend on the
    number of classes. They are then averaged over the batch; a sample of weight 0.5 counts half as much as one of
    weight 1.

    Args:
        counts: see ClassCounts.

    Attributes:
        log_odds: float32 [C], log(positives / negatives). Half an image is added to both counts, so that the value is
            finite for a class without positives or without negatives.
    """

    log_odds: Tensor

    def __init__(self, counts: ClassCounts):
        super().__init__()
        odds = (counts.positives + 0.5) / (counts.negatives + 0.5)
        self.register_buffer("log_odds", odds.log().float())

    @abstractmethod
    def terms(self, logits: Tensor, targets: Tensor) -> Tensor:
        """[B, C] logits and targets of 1 and 0 -> finite [B, C]. Unknown targets come as 0; their terms are dropped."""

    def forward(self, logits: Tensor, targets: Tensor, sample_weight: Tensor) -> Tensor:
        known = (~targets.isnan()).to(logits.dtype)
        terms = self.terms(logits, targets.nan_to_num(0.0))
        return ((terms * known).sum(dim=1) * sample_weight).mean()

    def initial_logits(self) -> Tensor:
        """[C]: the initial logits, with which the loss starts at each class's share of positives as its probability.

        Focal Loss, https://arxiv.org/abs/1708.02002, section 3.3. Short runs could not reach these values by gradient
        steps, and with them the many negatives do not dominate the first gradients.
        """
        return self.log_odds

    def start_epoch(self, share: float) -> None:
        """Called before every epoch, for a loss that changes during training.

        Args:
            share: of the epochs that is done, in [0, 1], see `share_done`. A loss may depend on nothing else: then a
                run that is continued after an interruption trains with the same loss as an uninterrupted one.
        """
