"""Class-aware attention: each class has its own weights over the positions of the map.

Residual Attention: A Simple but Effective Method for Multi-Label Recognition (CSRA),
https://arxiv.org/abs/2108.02456, section 3.
"""

import torch
from torch import Tensor, nn


class ClassAttention(nn.Module):
    """The attention of TRCGL-Net (https://arxiv.org/abs/2607.00975), with scores separate from the classifier's.

    It is the softmax, over the positions, of a 1x1 convolution without bias.

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


def attended_scores(scores: Tensor, temperature: Tensor) -> Tensor:
    """The attention of CSRA, computed from the classifier's own scores, times these scores.

    In CSRA the feature of a class is an attention-weighted mean over the positions. The classifier is linear, so the
    score of this feature is the attention-weighted mean of the positions' scores. A tensor [B, C, F, h, w] is therefore
    not needed.

    Args:
        scores: [B, C, h, w], scores of the classifier at every position.
        temperature: [C, 1] or a scalar, finite. At 0 the result sums to the mean score over the positions; for the
            limit of an infinite temperature see `largest_score`.

    Returns:
        [B, C, h, w]: softmax over the positions of temperature * score, times the score.
    """
    places = scores.flatten(2)
    return (places * (temperature * places).softmax(dim=2)).view_as(scores)


def largest_score(scores: Tensor) -> Tensor:
    """`attended_scores` at infinite temperature: the largest score at its position (the first of equals), else 0."""
    places = scores.flatten(2)
    largest, where = places.max(dim=2, keepdim=True)
    return torch.zeros_like(places).scatter(2, where, largest).view_as(scores)
