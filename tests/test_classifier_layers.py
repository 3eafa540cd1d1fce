"""Attention, gate and label graph against their formulas, written out in float64."""

import numpy as np
import pytest
import torch
from torch import Tensor

from trcgl.classifier.network.channel_reweighting import ChannelReweighting, LearnedReweighting
from trcgl.classifier.network.class_attention import ClassAttention, attended_scores, largest_score
from trcgl.classifier.network.label_graph import LabelGraph, convolved, graph_convolution

BATCH, FEATURES, CLASSES, SIDE = 3, 32, 4, 5


@pytest.fixture
def maps() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(BATCH, FEATURES, SIDE, SIDE)


def directed() -> Tensor:
    """A random non-symmetric matrix with zeros, two of them on the diagonal."""
    matrix = torch.rand(CLASSES, CLASSES, generator=torch.Generator().manual_seed(1))
    matrix[0, 1] = matrix[2, 0] = matrix[1, 1] = matrix[3, 3] = 0.0
    return matrix


def edges_of(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """torch-geometric sends messages from edge_index[0] to edge_index[1]: the entry A_ij is an edge from j to i."""
    target, source = matrix.nonzero(as_tuple=True)
    return torch.stack((source, target)), matrix[target, source]


def test_graph_convolution_is_torch_geometrics_along_the_edges_and_the_dense_product():
    torch.manual_seed(0)
    layer = graph_convolution(6, 7).double()
    nodes, matrix = torch.randn(CLASSES, 6).double().requires_grad_(), directed().double()
    ours = convolved(layer, nodes, matrix)
    along_edges = layer(nodes, *edges_of(matrix))
    assert (ours - along_edges).abs().max() < 1e-12
    assert (ours - matrix @ nodes @ layer.lin.weight.T).abs().max() < 1e-12
    inputs = (nodes, layer.lin.weight)
    for mine, theirs in zip(
        torch.autograd.grad(ours.square().sum(), inputs),
        torch.autograd.grad(along_edges.square().sum(), inputs),
        strict=True,
    ):
        assert (mine - theirs).abs().max() < 1e-11
    # The transpose is something else: the test would see a wrong orientation
    assert (convolved(layer, nodes, matrix.T) - along_edges).abs().max() > 1e-2


def test_label_graph_is_two_dense_layers_and_a_cosine():
    torch.manual_seed(0)
    graph = LabelGraph(FEATURES, directed(), 6, 0.1).eval()
    torch.nn.init.normal_(graph.bias)
    image = torch.randn(BATCH, FEATURES)
    value = {key.removeprefix("prototypes."): t.double().numpy() for key, t in graph.state_dict().items()}
    hidden = np.maximum(value["adjacency"] @ value["vectors"] @ value["first.lin.weight"].T, 0)
    prototypes = value["adjacency"] @ hidden @ value["second.lin.weight"].T
    vectors = image.double().numpy() @ value["image.weight"].T
    norms = np.linalg.norm(vectors, axis=1)[:, None] * np.linalg.norm(prototypes, axis=1)
    expected = vectors @ prototypes.T / norms + value["bias"]
    assert graph(image).detach().numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", [ChannelReweighting, LearnedReweighting])
def test_gate(maps: Tensor, kind: type):
    layer = kind(FEATURES, 16, 0.05)
    down, up = (w.detach().double().numpy() for w in (layer.gate.squeeze.weight, layer.gate.excite.weight))
    x = maps.double().numpy()
    gate = 1 / (1 + np.exp(-(np.maximum(x.mean((2, 3)) @ down.T, 0) @ up.T)))[:, :, None, None]
    change = gate if kind is ChannelReweighting else 2 * gate - 1
    assert layer(maps).detach().numpy() == pytest.approx(x + 0.05 * x * change, abs=1e-6)
    assert down.shape == (2, FEATURES)


def test_attention_sums_to_one(maps: Tensor):
    attention = ClassAttention(FEATURES, CLASSES)(maps)
    assert attention.shape == (BATCH, CLASSES, SIDE, SIDE)
    assert (attention > 0).all()
    torch.testing.assert_close(attention.sum((2, 3)), torch.ones(BATCH, CLASSES))


def test_temperature_leads_from_the_mean_to_the_maximum(maps: Tensor):
    scores = maps[:, :CLASSES].double()

    def pooled(temperature: float) -> Tensor:
        return attended_scores(scores, torch.tensor(temperature)).sum((2, 3))

    torch.testing.assert_close(pooled(0.0), scores.mean((2, 3)))
    torch.testing.assert_close(pooled(1e4), scores.amax((2, 3)))
    assert (pooled(1.0) < pooled(3.0)).all()
    largest = largest_score(scores)
    torch.testing.assert_close(largest.sum((2, 3)), scores.amax((2, 3)))
    assert ((largest != 0).sum((2, 3)) == 1).all()


def test_largest_score_takes_one_of_equals():
    scores = torch.full((1, 1, 2, 2), 3.0)
    assert largest_score(scores).flatten().tolist() == [3, 0, 0, 0]
