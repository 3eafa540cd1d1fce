"""Label graph: class vectors that exchange information along co-occurrence, compared with the image.

ML-GCN, https://arxiv.org/abs/1904.03582, section 3.2, for the idea; TRCGL-Net, https://arxiv.org/abs/2607.00975, for
learned embeddings in place of word vectors and for the cosine.
"""

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # torch-geometric scripts its own helpers with torch.jit
    from torch_geometric.nn import GCNConv


def graph_convolution(features_in: int, features_out: int) -> GCNConv:
    """torch-geometric's layer for a matrix A that is normalised already: it adds neither self-loops nor a norm."""
    return GCNConv(features_in, features_out, add_self_loops=False, normalize=False, bias=False)


def convolved(layer: GCNConv, nodes: Tensor, adjacency: Tensor) -> Tensor:
    """What `layer` computes along the edges of a dense matrix A: A x W, as two products.

    Label graphs have a few hundred nodes, and most pairs an edge: a message for each of them took 35 times as long
    (174 findings, 2,048 features), a third of a training step of ResNet-50.

    Args:
        nodes: [C, d].
        adjacency: [C, C]; out_i = sum_j A_ij x_j W.
    """
    return layer.lin(adjacency @ nodes)


class ClassVectors(nn.Module):
    """Class vectors from label vectors by two graph convolutions: A f(A V W1) W2.

    Args:
        adjacency: float32 [C, C], normalised; out_i = sum_j A_ij x_j. Kept as a buffer.
        vectors: float32 [C, d], the label vectors V.
        learned: V is copied and trained on; otherwise it stays as it is.
        hidden: width of the first convolution.
        features: width F of the class vectors.
        slope: of f, a leaky ReLU; 0: ReLU.
        dropout: between the two convolutions, in training.
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
    """TRCGL-Net's logit term of class c: cos(W image, prototype_c) + b_c, the prototypes from learned embeddings.

    Args:
        features: width F of the image vector and of the prototypes.
        adjacency: see ClassVectors.
        embedding: width of the learned label embeddings, N(0, 0.02) at the start.
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
