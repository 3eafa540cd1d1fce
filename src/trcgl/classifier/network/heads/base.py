"""What all heads share: the initial logits, and the scores of a linear classifier at every position of a map."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Head(nn.Module, ABC):
    """`[B, F, h, w] -> (logits [B, C], class maps [B, C, h, w])`; the package's docstring explains the class maps."""

    @property
    @abstractmethod
    def offset(self) -> Tensor:
        """[C], the bias of the logits."""

    @abstractmethod
    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """[B, F, h, w] -> logits [B, C], class maps [B, C, h, w]."""

    @torch.no_grad()
    def start_from(self, log_odds: Tensor) -> None:
        """Set the bias to `log_odds` [C], so that training starts near these logits for every image."""
        self.offset.copy_(log_odds)


def position_scores(weight: Tensor, maps: Tensor) -> Tensor:
    """Each class's weights applied at every position, without bias: [C, F], [B, F, h, w] -> [B, C, h, w]."""
    return F.conv2d(maps, weight[:, :, None, None])
