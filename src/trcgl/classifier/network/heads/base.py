"""What every head shares: where it starts from, and what a linear classifier says about every place of a map."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Head(nn.Module, ABC):
    """`[B, F, h, w] -> (logits [B, C], class maps [B, C, h, w])`; see the package's docstring for what a map says."""

    @property
    @abstractmethod
    def offset(self) -> Tensor:
        """[C], the bias of the logits."""

    @abstractmethod
    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """[B, F, h, w] -> logits [B, C], class maps [B, C, h, w]."""

    @torch.no_grad()
    def start_from(self, log_odds: Tensor) -> None:
        """Begin with the logits `log_odds` [C], whatever the picture."""
        self.offset.copy_(log_odds)


def position_scores(weight: Tensor, maps: Tensor) -> Tensor:
    """Each class's weights applied at every position, without bias: [C, F], [B, F, h, w] -> [B, C, h, w]."""
    return F.conv2d(maps, weight[:, :, None, None])
