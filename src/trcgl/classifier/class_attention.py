"""Class-aware attention: every class looks at its own places of the map.

Residual Attention: A Simple but Effective Method for Multi-Label Recognition (CSRA),
https://arxiv.org/abs/2108.02456, section 3, with one head and its own attention scores, as TRCGL-Net
(https://arxiv.org/abs/2607.00975) uses it.
"""

from torch import Tensor, nn


class ClassAttention(nn.Module):
    """Where each class looks: softmax over the positions of a 1x1 convolution without bias.

    Args:
        features: channels F of the map.
        classes: C.
    """

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.scores = nn.Conv2d(features, classes, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """[B, F, h, w] -> [B, C, h, w], positive, summing to 1 over the positions."""
        scores = self.scores(maps)
        return scores.flatten(2).softmax(dim=2).view_as(scores)
