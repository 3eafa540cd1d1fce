"""Class-aware attention: every class looks at its own places of the map.

Residual Attention: A Simple but Effective Method for Multi-Label Recognition (CSRA),
https://arxiv.org/abs/2108.02456, section 3.
"""

import torch
from torch import Tensor, nn


class ClassAttention(nn.Module):
    """Where each class looks, as TRCGL-Net (https://arxiv.org/abs/2607.00975) has it: by scores of its own.

    Softmax over the positions of a 1x1 convolution without bias.

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
    """Where each class looks, as CSRA has it, by the scores it classifies with, and what it sees there.

    The class's feature is an attention-weighted mean over the places, and the classifier is linear: the feature's score
    is the attention-weighted mean of the places' scores, so no [B, C, F, h, w] is ever made.

    Args:
        scores: [B, C, h, w], the classifier's at every place.
        temperature: [C, 1] or a scalar; 0: the mean over the places, infinite: the place with the largest score.

    Returns:
        [B, C, h, w]: softmax over the places of temperature * score, times the score.
    """
    places = scores.flatten(2)
    return (places * (temperature * places).softmax(dim=2)).view_as(scores)


def largest_score(scores: Tensor) -> Tensor:
    """The same for an infinite temperature: the score where it is largest (the first of equals), 0 elsewhere."""
    places = scores.flatten(2)
    largest, where = places.max(dim=2, keepdim=True)
    return torch.zeros_like(places).scatter(2, where, largest).view_as(scores)
