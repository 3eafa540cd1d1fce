"""The head of TRCGL-Net with its parts switched on: gate, class-aware attention and label graph at learned strength.

In the paper's head (trcgl_paper.py, https://arxiv.org/abs/2607.00975) the three parts are fixed at 0.05, 0.1 and 0.05,
the graph's term moves a logit by at most 0.05, and each part has weights of its own. Here they share one classifier:
the graph adds to its rows, the gate acts on the map it reads, and the attention weighs its scores at the places, so
that all of it costs one 1x1 convolution. The rows have unit length: the length of a freely learned row grows with how
often its finding is seen, and a long row wins by length alone (Decoupling Representation and Classifier for Long-Tailed
Recognition, https://arxiv.org/abs/1910.09217, section 4, its tau-normalised classifier with tau = 1).

Or their length is learned, apart from their direction (Weight Normalization, https://arxiv.org/abs/1602.07868, section
2), from that of the plain head's rows at the start: the maps of a pre-trained backbone are long (18 on average for
EfficientNet-Lite0 on chest films, at most 6 in each channel), so untrained rows of unit length start with logits that
are far off, nearly twice as far as the plain head's.
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
"""Of a row of torch's linear layer as it is initialised: uniform within 1 / sqrt(F) either way in each of F places."""


class TrcglHead(Head):
    """logit_c = mean_p s_cp + a * sum_p softmax_p(T_c s_cp) s_cp + b_c, with s_cp = r_c x'_p.

    r_c has the direction of w_c + g v_c / |v_c|, and length 1 or a learned one.

    x' is the map after the gate (LearnedReweighting), v the class vectors of the label graph, T_c > 0 a learned
    temperature (findings differ in extent: an enlarged heart is seen on average, a nodule at one place), a and g the
    learned strengths of attention and graph. v_c has unit length, so g compares with |w_c|, about 0.6 at the start.
    With all strengths 0 the head is the linear one with rows of that length.

    Args:
        features: channels F of the map.
        adjacency: float32 [C, C]; its size is the number of classes.
        vectors: float32 [C, d] label vectors, from which the graph starts and which it goes on training; None: random
            ones, d = label_embedding.
        gate_strength, attention_strength, graph_strength: at the start; 0 removes the part for good.
        gate_reduction: see channel_reweighting.Gate.
        attention_temperature: at the start.
        label_embedding: width of the graph's first convolution.
        graph_dropout: see ClassVectors.
        row_length: `unit`, or `learned` for each class, from START_LENGTH on.
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
        # First, so that it starts from the same numbers as the plain head with the same seed
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
        """[C, F], the directions of the classifier's weights with the label graph's, at their length."""
        rows = F.normalize(self.classifier.weight + self.graph_strength(F.normalize(self.graph(), dim=1)), dim=1)
        return rows if self.log_length is None else rows * self.log_length.exp()[:, None]

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """[B, F, h, w] -> logits [B, C], class maps [B, C, h, w] that sum to the logits less the bias."""
        scores = position_scores(self.rows(), self.reweighting(maps))
        attended = attended_scores(scores, self.log_temperature.exp()[:, None])
        class_maps = scores / (maps.shape[2] * maps.shape[3]) + self.attention_strength(attended)
        return class_maps.sum((2, 3)) + self.classifier.bias, class_maps


def apart(vectors: Tensor) -> Tensor:
    """Vectors [C, d] less their mean, rows of unit length.

    Phrases of one field are alike to a text encoder; what they share would be one row added to every class.
    """
    return F.normalize(vectors - vectors.mean(0), dim=1)
