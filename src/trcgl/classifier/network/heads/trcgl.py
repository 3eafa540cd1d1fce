"""The head of TRCGL-Net with effective parts: gate, class-aware attention and label graph, with learned strengths.

In the paper's head (trcgl_paper.py, https://arxiv.org/abs/2607.00975) the strengths of the three parts are fixed at
0.05, 0.1 and 0.05, the graph's term changes a logit by at most 0.05, and each part has its own weights. Here the parts
share one classifier. The graph is added to the classifier's rows, the gate acts on the map that the classifier reads,
and the attention weights the classifier's scores at the positions. All of it together costs one 1x1 convolution.

By default the rows have unit length. The length of a freely learned row grows with the frequency of its finding, and a
longer row gives larger logits by its length alone (Decoupling Representation and Classifier for Long-Tailed
Recognition, https://arxiv.org/abs/1910.09217, section 4: its tau-normalised classifier with tau = 1).

As an option, the length of a row is learned separately from its direction (Weight Normalization,
https://arxiv.org/abs/1602.07868, section 2) and starts at the length of the plain head's rows. The reason: feature
vectors of a pre-trained backbone are long (18 on average for EfficientNet-Lite0 on chest X-rays, at most 6 in each
channel). Untrained rows of unit length therefore start with logits that are far off, nearly twice as far as those of
the plain head.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trcgl.classifier.network.channel_reweighting import LearnedReweighting
from trcgl.classifier.network.class_attention import attended_scores
from trcgl.classifier.network.heads.base import Head, position_scores
from trcgl.classifier.network.label_graph import ClassVectors
from trcgl.classifier.network.strength import Strength

START_LENGTH = 3**-0.5
"""Length of a row of torch's linear layer at initialisation: F entries, each uniform in -1 / sqrt(F)..1 / sqrt(F)."""


class TrcglHead(Head):
    """logit_c = mean_p s_cp + a * sum_p softmax_p(T_c s_cp) s_cp + b_c, with s_cp = r_c x'_p.

    r_c has the direction of w_c + g v_c / |v_c|; its length is 1 or learned.

    x' is the map after the gate (LearnedReweighting), and v_c are the class vectors of the label graph. T_c > 0 is a
    learned temperature, because findings differ in extent: an enlarged heart shows in the average over positions, a
    nodule at one position. a and g are the learned strengths of attention and graph. v_c / |v_c| has unit length, so g
    is on the scale of |w_c|, which is about 0.6 at the start. With all strengths 0, the head is the linear head with
    rows of the length described above.

    Args:
        features: channels F of the map.
        adjacency: float32 [C, C]; its size is the number of classes.
        vectors: float32 [C, d], initial label vectors of the graph, which are trained further; None: random vectors
            with d = label_embedding.
        gate_strength, attention_strength, graph_strength: initial values; 0 removes the part permanently.
        gate_reduction: see channel_reweighting.Gate.
        attention_temperature: initial value.
        label_embedding: width of the graph's first convolution.
        graph_dropout: see ClassVectors.
        row_length: `unit`, or `learned` for each class with START_LENGTH as the initial value.
    """

    def __init__(
        self,
        features: int,
        adjacency: Tensor,
        vectors: Tensor | None,
        *,
        gate_strength: float,
        gate_reduction: int,
        attention_strength: float,
        attention_temperature: float,
        graph_strength: float,
        label_embedding: int,
        graph_dropout: float,
        row_length: str = "unit",
    ):
        super().__init__()
        classes = len(adjacency)
        # Created first, so that its initial weights equal those of the plain head with the same seed
        self.classifier = nn.Linear(features, classes)
        self.reweighting = LearnedReweighting(features, gate_reduction, gate_strength)
        self.attention_strength = Strength(attention_strength)
        self.log_temperature = nn.Parameter(torch.full((classes,), math.log(attention_temperature)))
        self.graph_strength = Strength(graph_strength)
        self.graph = ClassVectors(
            adjacency,
            torch.randn(classes, label_embedding) * 0.02 if vectors is None else apart(vectors),
            learned=True,
            hidden=label_embedding,
            features=features,
            dropout=graph_dropout,
        )
        self.log_length = (
            nn.Parameter(torch.full((classes,), math.log(START_LENGTH))) if row_length == "learned" else None
        )

    @property
    def offset(self) -> Tensor:
        return self.classifier.bias

    def rows(self) -> Tensor:
        """[C, F], the rows r_c: the direction of classifier weights plus label graph, with unit or learned length."""
        rows = F.normalize(self.classifier.weight + self.graph_strength(F.normalize(self.graph(), dim=1)), dim=1)
        return rows if self.log_length is None else rows * self.log_length.exp()[:, None]

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """[B, F, h, w] -> logits [B, C], class maps [B, C, h, w] that sum to the logits minus the bias."""
        scores = position_scores(self.rows(), self.reweighting(maps))
        attended = attended_scores(scores, self.log_temperature.exp()[:, None])
        class_maps = scores / (maps.shape[2] * maps.shape[3]) + self.attention_strength(attended)
        return class_maps.sum((2, 3)) + self.classifier.bias, class_maps


def apart(vectors: Tensor) -> Tensor:
    """Vectors [C, d] minus their mean, then scaled to unit length.

    A text encoder gives similar vectors to phrases of one field. Their common part would add the same row to every
    class. A single vector is its own mean, so nothing is subtracted from it.
    """
    return F.normalize(vectors - vectors.mean(0) if len(vectors) > 1 else vectors, dim=1)
