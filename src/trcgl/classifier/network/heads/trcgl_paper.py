"""The head of TRCGL-Net by its paper's formulas: global average, channel-class attention and label relations, summed.

https://arxiv.org/abs/2607.00975. The authors' repository uses the strengths 0.05 (gate), 0.1 (attention) and 0.05
(graph). A strength of 0 removes its part, so each part can be ablated alone.
"""

from torch import Tensor, nn

from trcgl.classifier.network.channel_reweighting import ChannelReweighting
from trcgl.classifier.network.class_attention import ClassAttention
from trcgl.classifier.network.heads.base import Head, position_scores
from trcgl.classifier.network.label_graph import LabelGraph


class TrcglPaperHead(Head):
    """logits = linear(mean(x)) + attention_strength * attended(x') + graph_strength * graph(mean(x')), x' = gated x.

    x is the backbone's map after a BatchNorm, which the authors' code applies before all branches.

    Args:
        features: channels F of the map.
        adjacency: float32 [C, C] for the label graph; its size is the number of classes.
        gate_strength, gate_reduction: see ChannelReweighting.
        attention_strength: weight of the class-attention logit.
        graph_strength: weight of the label-graph logit.
        label_embedding, graph_dropout: see LabelGraph.
    """

    def __init__(
        self,
        features: int,
        adjacency: Tensor,
        *,
        gate_strength: float,
        gate_reduction: int,
        attention_strength: float,
        graph_strength: float,
        label_embedding: int,
        graph_dropout: float,
    ):
        super().__init__()
        classes = len(adjacency)
        self.attention_strength = attention_strength
        self.graph_strength = graph_strength
        # Created first, so that its initial weights equal those of the plain head with the same seed
        self.classifier = nn.Linear(features, classes)
        self.norm = nn.BatchNorm2d(features)
        self.reweighting = ChannelReweighting(features, gate_reduction, gate_strength)
        self.attention = ClassAttention(features, classes)
        self.graph = LabelGraph(features, adjacency, label_embedding, graph_dropout)

    @property
    def offset(self) -> Tensor:
        return self.classifier.bias

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """[B, F, h, w] -> logits [B, C], class maps [B, C, h, w] that sum to the first two terms minus their biases."""
        maps = self.norm(maps)
        gated = self.reweighting(maps)
        # The score of an attention-weighted mean of features is the attention-weighted mean of the positions' scores
        attended = self.attention(gated) * position_scores(self.classifier.weight, gated)
        attention_logits = attended.sum((2, 3)) + self.classifier.bias
        logits = self.classifier(maps.mean((2, 3))) + self.attention_strength * attention_logits
        logits = logits + self.graph_strength * self.graph(gated.mean((2, 3)))
        positions = maps.shape[2] * maps.shape[3]
        class_maps = position_scores(self.classifier.weight, maps) / positions + self.attention_strength * attended
        return logits, class_maps
