"""Class-specific residual attention: every class adds what it sees where it looks to what it sees on average.

Residual Attention: A Simple but Effective Method for Multi-Label Recognition, https://arxiv.org/abs/2108.02456,
section 3. The authors' code also divides each class's scores by the norm of its weights; the paper's formulas, and this
file, do not.
"""

import torch
from torch import Tensor, nn

from trcgl.classifier.network.class_attention import attended_scores, largest_score
from trcgl.classifier.network.heads.base import Head, position_scores

LARGEST = 99  # The temperature that stands for the largest score
TEMPERATURES: dict[int, tuple[int, ...]] = {
    1: (1,),
    2: (1, LARGEST),
    4: (1, 2, 4, LARGEST),
    6: (1, 2, 3, 4, 5, LARGEST),
    8: (1, 2, 3, 4, 5, 6, 7, LARGEST),
}


class CsraHead(Head):
    """logit_c = sum over heads of m_c (mean(x) + strength * sum_p a_p x_p) + b_c, a = softmax_p(T m_c x_p).

    Every head has weights m of its own and a temperature T that is fixed. The bias is ours (0: the paper's formula):
    without one, no head could start from the findings' prevalence.

    Args:
        features: channels F of the map.
        classes: C.
        heads: 1, 2, 4, 6 or 8: the numbers of heads for which the paper gives temperatures.
        strength: the paper's lambda.
    """

    def __init__(self, features: int, classes: int, *, heads: int, strength: float):
        super().__init__()
        self.temperatures = TEMPERATURES[heads]
        self.strength = strength
        # The heads' weights one below the other
        self.classifiers = nn.Linear(features, heads * classes, bias=False)
        self.bias = nn.Parameter(torch.zeros(classes))

    @property
    def offset(self) -> Tensor:
        return self.bias

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """[B, F, h, w] -> logits [B, C], class maps [B, C, h, w] that sum to the logits less the bias."""
        positions = maps.shape[2] * maps.shape[3]
        parts = []
        scores_of_heads = position_scores(self.classifiers.weight, maps).chunk(len(self.temperatures), dim=1)
        for temperature, scores in zip(self.temperatures, scores_of_heads, strict=True):
            if temperature == LARGEST:
                attended = largest_score(scores)
            else:
                attended = attended_scores(scores, scores.new_tensor(temperature))
            parts.append(scores / positions + self.strength * attended)
        class_maps = torch.stack(parts).sum(0)
        return class_maps.sum((2, 3)) + self.bias, class_maps
