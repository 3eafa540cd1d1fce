"""The plain head: global average and one linear layer; its class maps are class activation maps.

Learning Deep Features for Discriminative Localization, https://arxiv.org/abs/1512.04150, section 2.
"""

import torch
from torch import Tensor, nn

from trcgl.classifier.network.heads.evidence import position_scores


class LinearHead(nn.Module):
    """logits = W mean(x) + b.

    Args:
        features: channels F of the map.
        classes: C.
    """

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.classifier = nn.Linear(features, classes)

    @torch.no_grad()
    def start_from(self, log_odds: Tensor) -> None:
        """Take `log_odds` [C] as the bias."""
        self.classifier.bias.copy_(log_odds)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """[B, F, h, w] -> logits [B, C], class maps [B, C, h, w] that sum to the logits less the bias."""
        positions = maps.shape[2] * maps.shape[3]
        return self.classifier(maps.mean((2, 3))), position_scores(self.classifier.weight, maps) / positions
