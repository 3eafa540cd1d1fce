"""Class-specific residual attention: every class adds what it sees where it looks to what it sees on average.

Residual Attention: A Simple but Effective Method for Multi-Label Recognition, https://arxiv.org/abs/2108.02456,
section 3, as its authors' code computes it (https://github.com/Kevinz-code/CSRA, pipeline/csra.py): with rows of unit
length, which the paper's formulas do not show.
"""

import torch
import torch.nn.functional as F
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
    """logit_c = sum over heads of mean_p s_cp + strength * sum_p softmax_p(T s_cp) s_cp, plus b_c; s_cp = r_c x_p.

    r_c is the direction of w_c: a class's weights, divided by their length. Every head has weights w of its own and a
    temperature T that is fixed. The bias is ours (0: the authors' formula): without one, no head could start from the
    findings' prevalence.

    Args:
        features: channels F of the map.
        classes: C.
        heads: 1, 2, 4, 6 or 8: the numbers of heads for which the authors give temperatures.
        strength: the paper's lambda, one for all heads and not learned; the authors' README has 0.1 (VOC 2007), 0.3
            (WIDER-Attribute), 0.4 and 0.5 (COCO).
    """

    def __init__(self, features: int, classes: int, *, heads: int, strength: float):
        super().__init__()
        self.temperatures = TEMPERATURES[heads]
        self.strength = strength
        # The heads' weights one below the other, of which only the directions count
        self.directions = nn.Linear(features, heads * classes, bias=False)
        self.bias = nn.Parameter(torch.zeros(classes))

    @property
    def offset(self) -> Tensor:
        return self.bias

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """[B, F, h, w] -> logits [B, C], class maps [B, C, h, w] that sum to the logits less the bias."""
        positions = maps.shape[2] * maps.shape[3]
        parts = []
        rows = F.normalize(self.directions.weight, dim=1)
        scores_of_heads = position_scores(rows, maps).chunk(len(self.temperatures), dim=1)
        for temperature, scores in zip(self.temperatures, scores_of_heads, strict=True):
            if temperature == LARGEST:
                attended = largest_score(scores)
            else:
                attended = attended_scores(scores, scores.new_tensor(temperature))
            parts.append(scores / positions + self.strength * attended)
        class_maps = torch.stack(parts).sum(0)
        return class_maps.sum((2, 3)) + self.bias, class_maps
