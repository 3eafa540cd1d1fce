"""Class-specific residual attention: each class adds its attention-weighted score to its average score.

Residual Attention: A Simple but Effective Method for Multi-Label Recognition, https://arxiv.org/abs/2108.02456,
section 3. It follows the authors' code (https://github.com/Kevinz-code/CSRA, pipeline/csra.py), where the rows of the
classifier have unit length; the paper's formulas do not show this.
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

    r_c is the direction of w_c: the weights of the class, divided by their length. Every head has its own weights w and
    a fixed temperature T. The bias is our addition (with 0 it is the authors' formula): without a bias, the head could
    not start from the prevalence of the findings.

    Args:
        features: channels F of the map.
        classes: C.
        heads: 1, 2, 4, 6 or 8; for these numbers of heads the authors give temperatures.
        strength: the paper's lambda, the same for all heads and not learned. The authors' README uses 0.1 (VOC 2007),
            0.3 (WIDER-Attribute), 0.4 and 0.5 (COCO).
    """

    def __init__(self, features: int, classes: int, *, heads: int, strength: float):
        super().__init__()
        self.temperatures = TEMPERATURES[heads]
        self.strength = strength
        # The weights of all heads, stacked along the rows; only the directions of the rows matter
        self.directions = nn.Linear(features, heads * classes, bias=False)
        self.bias = nn.Parameter(torch.zeros(classes))

    @property
    def offset(self) -> Tensor:
        return self.bias

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """[B, F, h, w] -> logits [B, C], class maps [B, C, h, w] that sum to the logits minus the bias."""
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
