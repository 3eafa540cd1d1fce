"""Label graph: class vectors exchange information along co-occurrence edges and are then compared with the image.

The idea is from ML-GCN, https://arxiv.org/abs/1904.03582, section 3.2. Learned embeddings instead of word vectors, and
the cosine, are from TRCGL-Net, https://arxiv.org/abs/2607.00975.
"""

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # torch-geometric scripts its own helpers with torch.jit
    from torch_geometric.nn import GCNConv


def graph_convolution(features_in: int, features_out: int) -> GCNConv:
    """torch-geometric's layer for an already normalised matrix A: it adds no self-loops and does not normalise A."""
    return GCNConv(features_in, features_out, add_self_loops=False, normalize=False, bias=False)


def convolved(layer: GCNConv, nodes: Tensor, adjacency: Tensor) -> Tensor:
    """The output of `layer` for a dense adjacency matrix A: A x W, computed as two matrix products.

    Label graphs have a few hundred nodes, and most pairs of nodes have an edge. The layer's own message per edge took
    35 times as long (174 findings, 2,048 features), which was a third of a training step of ResNet-50.

    Args:
        nodes: [C, d].
        adjacency: [C, C]; out_i = sum_j A_ij x_j W.
    """
    return layer.lin(adjacency @ nodes)


class ClassVectors(nn.Module):
    """Class vectors, computed from label vectors by two graph convolutions: A f(A V W1) W2.

    Args:
        adjacency: float32 [C, C], normalised; out_i = sum_j A_ij x_j. Kept as a buffer.
        vectors: float32 [C, d], the label vectors V.
        learned: True: a copy of V is trained; False: V stays fixed.
        hidden: width of the first convolution.
        features: width F of the class vectors.
        slope: negative slope of f, a leaky ReLU; with 0, f is a ReLU.
        dropout: probability between the two convolutions, in training.
    """

    adjacency: Tensor
    vectors: Tensor

    def __init__(
        self,
        adjacency: Tensor,
        vectors: Tensor,
        *,
        learned: bool,
        hidden: int,
        features: int,
        slope: float = 0.0,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.register_buffer("adjacency", adjacency.clone())
        if learned:
            self.vectors = nn.Parameter(vectors.clone())
        else:
            self.register_buffer("vectors", vectors.clone())
        self.first = graph_convolution(vectors.shape[1], hidden)
        self.second = graph_convolution(hidden, features)
        self.slope = slope
        self.dropout = nn.Dropout(dropout)

    def forward(self) -> Tensor:
        """[C, F]."""
        hidden = F.leaky_relu(convolved(self.first, self.vectors, self.adjacency), self.slope)
        return convolved(self.second, self.dropout(hidden), self.adjacency)


class LabelGraph(nn.Module):
    """TRCGL-Net's logit term of class c: cos(W image, prototype_c) + b_c.

    The prototypes are class vectors, computed from learned label embeddings.

    Args:
        features: width F of the image vector and of the prototypes.
        adjacency: see ClassVectors.
        embedding: width of the learned label embeddings, which are initialised from N(0, 0.02).
        dropout: see ClassVectors.
    """

    def __init__(self, features: int, adjacency: Tensor, embedding: int, dropout: float):
        super().__init__()
        start = torch.randn(len(adjacency), embedding) * 0.02
        self.prototypes = ClassVectors(
            adjacency, start, learned=True, hidden=embedding, features=features, dropout=dropout
        )
        self.image = nn.Linear(features, features, bias=False)
        self.bias = nn.Parameter(torch.zeros(len(adjacency)))

    def forward(self, image: Tensor) -> Tensor:
        """[B, F] -> [B, C]."""
        similarity = F.normalize(self.image(image), dim=1) @ F.normalize(self.prototypes(), dim=1).T
        return similarity + self.bias
