"""ML-GCN: the classifier's weights come from a graph convolution over the labels' word vectors.

Multi-Label Image Recognition with Graph Convolutional Networks, https://arxiv.org/abs/1904.03582, section 3; its
adjacency is mode `mlgcn` of graph/adjacency.py.
"""

import torch
from torch import Tensor, nn

from trcgl.classifier.network.heads.base import Head, position_scores
from trcgl.classifier.network.label_graph import ClassVectors

LEAK = 0.2  # Slope of the leaky ReLU between the layers, as in the paper's experiments


class MlgcnHead(Head):
    """logit_c = W_c max(x) + b_c with W = A leaky_relu(A V W1) W2; max is the maximum of each channel over positions.

    The word vectors V are given and stay fixed. The bias is our addition (with 0 it is the paper's formula): without a
    bias, the head could not start from the prevalence of the findings.

    Args:
        features: channels F of the map.
        adjacency: float32 [C, C].
        vectors: float32 [C, d].
        hidden: width of the first convolution; 1024 in the paper.
    """

    def __init__(self, features: int, adjacency: Tensor, vectors: Tensor, *, hidden: int):
        super().__init__()
        self.graph = ClassVectors(adjacency, vectors, learned=False, hidden=hidden, features=features, slope=LEAK)
        self.bias = nn.Parameter(torch.zeros(len(adjacency)))

    @property
    def offset(self) -> Tensor:
        return self.bias

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """[B, F, h, w] -> logits [B, C], class maps [B, C, h, w] that sum to the logits minus the bias.

        A channel contributes only at the position of its maximum, so a class map shows which positions were used.
        """
        weight = self.graph()
        places = maps.flatten(2)
        largest, where = places.max(dim=2, keepdim=True)
        used = torch.zeros_like(places).scatter(2, where, largest).view_as(maps)
        return largest.squeeze(2) @ weight.T + self.bias, position_scores(weight, used)
