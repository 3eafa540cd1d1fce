"""Attention, gate, label graph and heads against their formulas, written out in float64."""

import numpy as np
import pytest
import torch
from torch import Tensor

from trcgl.classifier.channel_reweighting import ChannelReweighting
from trcgl.classifier.class_attention import ClassAttention
from trcgl.classifier.heads.build import build_head
from trcgl.classifier.heads.linear import LinearHead
from trcgl.classifier.heads.trcgl import TrcglHead
from trcgl.classifier.label_graph import LabelGraph, edges_of, graph_convolution

BATCH, FEATURES, CLASSES, SIDE = 3, 32, 4, 5
OPTIONS = {
    "gate_strength": 0.05,
    "gate_reduction": 16,
    "attention_strength": 0.1,
    "graph_strength": 0.05,
    "label_embedding": 6,
    "graph_dropout": 0.1,
}


@pytest.fixture
def maps() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(BATCH, FEATURES, SIDE, SIDE)


def directed() -> Tensor:
    """A random non-symmetric matrix with zeros, two of them on the diagonal."""
    matrix = torch.rand(CLASSES, CLASSES, generator=torch.Generator().manual_seed(1))
    matrix[0, 1] = matrix[2, 0] = matrix[1, 1] = matrix[3, 3] = 0.0
    return matrix


def trcgl_head(**changes: float) -> TrcglHead:
    torch.manual_seed(2)
    head = build_head("trcgl", FEATURES, CLASSES, {**OPTIONS, **changes}, directed()).eval()
    assert isinstance(head, TrcglHead)
    torch.nn.init.normal_(head.graph.bias)
    return head


def test_graph_convolution_is_the_dense_product():
    torch.manual_seed(0)
    layer = graph_convolution(6, 7).double()
    nodes, matrix = torch.randn(CLASSES, 6).double(), directed().double()
    expected = matrix @ nodes @ layer.lin.weight.T
    assert (layer(nodes, *edges_of(matrix)) - expected).abs().max() < 1e-12
    # The transpose is something else: the test would see a wrong orientation
    assert (layer(nodes, *edges_of(matrix.T)) - expected).abs().max() > 1e-2


def test_label_graph_is_two_dense_layers_and_a_cosine():
    torch.manual_seed(0)
    graph = LabelGraph(FEATURES, directed(), 6, 0.1).eval()
    torch.nn.init.normal_(graph.bias)
    image = torch.randn(BATCH, FEATURES)
    value = {key: tensor.double().numpy() for key, tensor in graph.state_dict().items()}
    hidden = np.maximum(value["adjacency"] @ value["embedding"] @ value["first.lin.weight"].T, 0)
    prototypes = value["adjacency"] @ hidden @ value["second.lin.weight"].T
    vectors = image.double().numpy() @ value["image.weight"].T
    norms = np.linalg.norm(vectors, axis=1)[:, None] * np.linalg.norm(prototypes, axis=1)
    expected = vectors @ prototypes.T / norms + value["bias"]
    assert graph(image).detach().numpy() == pytest.approx(expected, abs=1e-6)


def test_gate(maps: Tensor):
    layer = ChannelReweighting(FEATURES, 16, 0.05)
    down, up = (w.detach().double().numpy()[:, :, 0, 0] for w in (layer.squeeze.weight, layer.excite.weight))
    x = maps.double().numpy()
    gate = 1 / (1 + np.exp(-(np.maximum(x.mean((2, 3)) @ down.T, 0) @ up.T)))
    assert layer(maps).detach().numpy() == pytest.approx(x + 0.05 * x * gate[:, :, None, None], abs=1e-6)
    assert down.shape == (2, FEATURES)


def test_attention_sums_to_one(maps: Tensor):
    attention = ClassAttention(FEATURES, CLASSES)(maps)
    assert attention.shape == (BATCH, CLASSES, SIDE, SIDE)
    assert (attention > 0).all()
    torch.testing.assert_close(attention.sum((2, 3)), torch.ones(BATCH, CLASSES))


def attended_by_loops(head: TrcglHead, gated: np.ndarray) -> np.ndarray:
    """Class feature = attention-weighted sum of places, scored with the class's row of the linear classifier."""
    scores = head.attention.scores.weight.detach().double().numpy()[:, :, 0, 0]
    weight = head.classifier.weight.detach().double().numpy()
    bias = head.classifier.bias.detach().double().numpy()
    logits = np.zeros((BATCH, CLASSES))
    for b in range(BATCH):
        places = gated[b].reshape(FEATURES, -1)
        for c in range(CLASSES):
            exponent = np.exp(scores[c] @ places)
            feature = sum(exponent[p] / exponent.sum() * places[:, p] for p in range(places.shape[1]))
            logits[b, c] = weight[c] @ feature + bias[c]
    return logits


@pytest.mark.parametrize("attention_strength", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("graph_strength", [0.0, 0.05])
def test_trcgl_logits_are_the_papers_sum(maps: Tensor, attention_strength: float, graph_strength: float):
    head = trcgl_head(attention_strength=attention_strength, graph_strength=graph_strength)
    logits, _ = head(maps)
    gated = head.reweighting(maps).detach()
    plain = maps.double().mean((2, 3)) @ head.classifier.weight.double().T + head.classifier.bias.double()
    expected = plain.detach().numpy() + attention_strength * attended_by_loops(head, gated.double().numpy())
    expected = expected + graph_strength * head.graph(gated.mean((2, 3))).detach().double().numpy()
    assert logits.detach().numpy() == pytest.approx(expected, abs=1e-5)


def test_class_maps_sum_to_the_image_logit(maps: Tensor):
    head = trcgl_head(graph_strength=0.0)
    logits, class_maps = head(maps)
    bias = head.classifier.bias * (1 + head.attention_strength)
    assert class_maps.shape == (BATCH, CLASSES, SIDE, SIDE)
    torch.testing.assert_close(class_maps.sum((2, 3)) + bias, logits, atol=1e-5, rtol=0)
    plain = LinearHead(FEATURES, CLASSES)
    logits, class_maps = plain(maps)
    torch.testing.assert_close(class_maps.sum((2, 3)) + plain.classifier.bias, logits, atol=1e-5, rtol=0)


def test_without_strengths_the_head_is_the_plain_one(maps: Tensor):
    head = trcgl_head(gate_strength=0.0, attention_strength=0.0, graph_strength=0.0)
    torch.manual_seed(2)
    plain = build_head("linear", FEATURES, CLASSES, {}, None)
    assert (head(maps)[0] == plain(maps)[0]).all()


def test_trcgl_needs_a_fitting_graph():
    with pytest.raises(ValueError, match="adjacency of 5 x 5"):
        build_head("trcgl", FEATURES, 5, OPTIONS, directed())
