"""Every head against its formula, written out in float64: logits, and gradients by picture and parameters."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from timm.layers.ml_decoder import TransformerDecoderLayerOptimal
from torch import Tensor, nn
from torch.func import functional_call

from tests.classifier_cases import CPU, NAMES, classifier_params, separable
from trcgl.artifacts.label_vectors import write_label_vectors
from trcgl.classifier.network.heads.base import Head
from trcgl.classifier.network.heads.build import HEADS, WITH_GRAPH, build_head
from trcgl.classifier.network.heads.csra import CsraHead
from trcgl.classifier.network.heads.mldecoder import MlDecoderHead
from trcgl.classifier.network.heads.mlgcn import MlgcnHead
from trcgl.classifier.network.heads.trcgl import TrcglHead
from trcgl.classifier.network.heads.trcgl_paper import TrcglPaperHead
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.strength import Strength
from trcgl.classifier.training.build import build_model
from trcgl.classifier.training.head_options import LABEL_EMBEDDING, head_options
from trcgl.classifier.training.optimizer import parameter_groups
from trcgl.classifier.training.train import train
from trcgl.graph.cooccurrence import count_cooccurrence

BATCH, FEATURES, CLASSES, SIDE, WIDTH = 3, 32, 4, 5, 7
PAPER: dict[str, Any] = {
    "gate_strength": 0.05,
    "gate_reduction": 16,
    "attention_strength": 0.1,
    "graph_strength": 0.05,
    "label_embedding": 6,
    "graph_dropout": 0.1,
}
LEARNED: dict[str, Any] = {
    **PAPER,
    "gate_strength": 0.8,
    "attention_strength": 0.7,
    "attention_temperature": 2.0,
    "graph_strength": 0.6,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "linear": {},
    "csra": {"heads": 1, "strength": 0.3},
    "mlgcn": {"hidden": 9},
    "mldecoder": {"width": 16},
    "trcgl_paper": PAPER,
    "trcgl": LEARNED,
}
OFF = {"gate_strength": 0.0, "attention_strength": 0.0, "graph_strength": 0.0}


def directed() -> Tensor:
    """A random non-symmetric matrix with zeros, two of them on the diagonal."""
    matrix = torch.rand(CLASSES, CLASSES, generator=torch.Generator().manual_seed(1))
    matrix[0, 1] = matrix[2, 0] = matrix[1, 1] = matrix[3, 3] = 0.0
    return matrix


def label_vectors() -> Tensor:
    return torch.randn(CLASSES, WIDTH, generator=torch.Generator().manual_seed(4))


def head_of(name: str, vectors: Tensor | None = None, **changes: Any) -> Head:
    """A head in evaluation mode whose one-dimensional parameters are random too."""
    torch.manual_seed(2)
    if vectors is None and name == "mlgcn":
        vectors = label_vectors()
    head = build_head(name, FEATURES, CLASSES, {**OPTIONS[name], **changes}, directed(), vectors).eval()
    for parameter in head.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, std=0.5)
    for module in head.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn(FEATURES)
            module.running_var = 0.5 + torch.rand(FEATURES)
    return head


def random_maps() -> Tensor:
    return torch.randn(BATCH, FEATURES, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def assert_equal_with_gradients(head: Head, reference: Callable[[Tensor], Tensor]) -> None:
    """`head` and `reference` (which reads the head's own parameters), both in float64, within 1e-6."""
    head.double()
    maps = random_maps().double().requires_grad_()
    inputs = [maps, *head.parameters()]
    towards = torch.randn(BATCH, CLASSES, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    found, expected = head(maps)[0], reference(maps)
    assert found.shape == expected.shape == (BATCH, CLASSES)
    assert (found - expected).abs().max() < 1e-6
    names = ["maps", *(name for name, _ in head.named_parameters())]
    gradients = (torch.autograd.grad((y * towards).sum(), inputs, allow_unused=True) for y in (found, expected))
    for name, ours, theirs in zip(names, *gradients, strict=True):
        assert ours is not None, name
        assert theirs is not None, name
        assert theirs.abs().max() > 0, name
        assert (ours - theirs).abs().max() < 1e-6, name


def dense_vectors(graph: nn.Module, slope: float) -> Tensor:
    """A f(A V W1) W2 with dense matrices."""
    value = dict(graph.named_parameters()) | dict(graph.named_buffers())
    hidden = value["adjacency"] @ value["vectors"] @ value["first.lin.weight"].T
    hidden = torch.where(hidden > 0, hidden, slope * hidden)
    return value["adjacency"] @ hidden @ value["second.lin.weight"].T


def gate_of(gate: nn.Module, maps: Tensor) -> Tensor:
    """Squeeze and excitation, as matrices: [B, F]."""
    value = dict(gate.named_parameters())
    hidden = (maps.mean((2, 3)) @ value["squeeze.weight"].T).clamp(min=0)
    return 1 / (1 + torch.exp(-(hidden @ value["excite.weight"].T)))


def attended_by_loops(scores: Tensor, weight: Tensor, maps: Tensor) -> Tensor:
    """Softmax over places of `scores` [B, C, P]; the class feature is the weighted sum of places; weight scores it."""
    logits = []
    for b in range(BATCH):
        places = maps[b].flatten(1)
        for c in range(CLASSES):
            exponent = torch.exp(scores[b, c])
            feature = sum((exponent[p] / exponent.sum() * places[:, p] for p in range(SIDE**2)), torch.zeros(()))
            logits.append(weight[c] @ feature)
    return torch.stack(logits).view(BATCH, CLASSES)


def test_linear():
    head = head_of("linear")
    weight, bias = head.get_parameter("classifier.weight"), head.get_parameter("classifier.bias")
    assert_equal_with_gradients(head, lambda maps: torch.einsum("bfyx,cf->bc", maps, weight) / SIDE**2 + bias)


@pytest.mark.parametrize(
    ("heads", "temperatures"),
    [(1, [1]), (2, [1, 99]), (4, [1, 2, 4, 99]), (6, [1, 2, 3, 4, 5, 99]), (8, [1, 2, 3, 4, 5, 6, 7, 99])],
)
def test_csra_is_the_formula_of_its_authors_code(heads: int, temperatures: list[int]):
    head = head_of("csra", heads=heads)
    assert isinstance(head, CsraHead)

    def reference(maps: Tensor) -> Tensor:
        total = torch.zeros(BATCH, CLASSES, dtype=maps.dtype) + head.bias
        for h, temperature in enumerate(temperatures):
            weight = head.directions.weight[h * CLASSES : (h + 1) * CLASSES]
            weight = weight / (weight**2).sum(1, keepdim=True).sqrt()
            scores = torch.einsum("cf,bfp->bcp", weight, maps.flatten(2))
            if temperature == 99:  # The paper's limit: max pooling of the scores
                attended = torch.stack([torch.stack([max(row) for row in image.unbind()]) for image in scores.unbind()])
            else:
                attended = attended_by_loops(temperature * scores, weight, maps)
            total = total + maps.mean((2, 3)) @ weight.T + 0.3 * attended
        return total

    assert_equal_with_gradients(head, reference)


def test_mlgcn_is_dense_products_and_a_maximum():
    head = head_of("mlgcn")
    assert isinstance(head, MlgcnHead)
    fixed = label_vectors().double()

    def reference(maps: Tensor) -> Tensor:
        pooled = torch.stack([torch.stack([max(places) for places in image.flatten(1)]) for image in maps])
        adjacency, first, second = directed().double(), head.graph.first.lin.weight, head.graph.second.lin.weight
        hidden = nn.functional.leaky_relu(adjacency @ fixed @ first.T, 0.2)
        return pooled @ (adjacency @ hidden @ second.T).T + head.bias

    assert_equal_with_gradients(head, reference)
    assert "graph.vectors" not in dict(head.named_parameters())


def test_mldecoder_is_timms_layer():
    head = head_of("mldecoder")
    assert isinstance(head, MlDecoderHead)
    head.double()
    layer = TransformerDecoderLayerOptimal(16, dim_feedforward=round(16 * 8 / 3)).double().eval()
    modules: dict[str, nn.Module] = {"multihead_attn": head.attention, "linear1": head.expand, "linear2": head.contract}
    modules |= {f"norm{i}": norm for i, norm in enumerate(head.norms, 1)}
    ours: dict[str, Tensor] = {
        f"{m}.{name}": value for m, module in modules.items() for name, value in module.named_parameters()
    }
    assert ours.keys() == dict(layer.named_parameters()).keys()

    def reference(maps: Tensor) -> Tensor:
        memory = head.embed(maps.flatten(2).permute(2, 0, 1)).relu()
        # timm's layer takes [places, B, width]
        hidden = functional_call(layer, ours, (head.queries[:, None].expand(-1, BATCH, -1), memory))
        return torch.stack([hidden[c] @ head.weight[c] + head.bias[c] for c in range(CLASSES)], dim=1)

    assert_equal_with_gradients(head, reference)


def test_trcgl_paper_is_the_papers_sum():
    head = head_of("trcgl_paper")
    assert isinstance(head, TrcglPaperHead)

    def reference(maps: Tensor) -> Tensor:
        maps = normalised(head.norm, maps)
        gated = maps + 0.05 * maps * gate_of(head.reweighting.gate, maps)[:, :, None, None]
        weight, bias = head.classifier.weight, head.classifier.bias
        scores = torch.einsum("cf,bfp->bcp", head.attention.scores.weight[:, :, 0, 0], gated.flatten(2))
        logits = maps.mean((2, 3)) @ weight.T + bias + 0.1 * (attended_by_loops(scores, weight, gated) + bias)
        prototypes, image = dense_vectors(head.graph.prototypes, 0.0), gated.mean((2, 3)) @ head.graph.image.weight.T
        cosine = image @ prototypes.T / (image.norm(dim=1)[:, None] * prototypes.norm(dim=1))
        return logits + 0.05 * (cosine + head.graph.bias)

    assert_equal_with_gradients(head, reference)


def normalised(norm: nn.BatchNorm2d, maps: Tensor) -> Tensor:
    """By the statistics that were kept; nn.BatchNorm2d adds 1e-5 to a variance."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance, weight, bias = (
        part[:, None, None] for part in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (maps - mean) / (variance + 1e-5).sqrt() * weight + bias


def test_trcgl_paper_normalises_what_it_trains_on():
    """Every channel by its mean and deviation over the batch's places: another scale and offset change nothing."""
    head = head_of("trcgl_paper", graph_dropout=0.0).train()
    changed = random_maps() * torch.linspace(0.5, 3, FEATURES)[:, None, None] + 7
    torch.testing.assert_close(head(changed)[0], head(random_maps())[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("length", ["unit", "learned"])
@pytest.mark.parametrize("given", [True, False])
def test_trcgl_is_its_formula_with_everything_materialised(given: bool, length: str):
    head = head_of("trcgl", vectors=label_vectors() if given else None, row_length=length)
    assert isinstance(head, TrcglHead)
    assert head.graph.vectors.shape == (CLASSES, WIDTH if given else 6)

    def reference(maps: Tensor) -> Tensor:
        gate = gate_of(head.reweighting.gate, maps)[:, :, None, None]
        gated = maps * (1 + head.reweighting.strength.value * (2 * gate - 1))
        graph = dense_vectors(head.graph, 0.0)
        rows = head.classifier.weight + head.graph_strength.value * graph / graph.norm(dim=1, keepdim=True)
        own = torch.ones(CLASSES) if head.log_length is None else torch.exp(head.log_length)
        rows = own[:, None] * rows / (rows**2).sum(1, keepdim=True).sqrt()
        places = gated.flatten(2)
        scores = torch.einsum("cf,bfp->bcp", rows, places)
        exponent = torch.exp(head.log_temperature.exp()[:, None] * scores)
        weights = exponent / exponent.sum(2, keepdim=True)
        features = (weights[:, :, None] * places[:, None]).sum(3)  # [B, C, F] from [B, C, F, P]
        logits = torch.einsum("bcf,cf->bc", places.mean(2)[:, None] + head.attention_strength.value * features, rows)
        return logits + head.classifier.bias

    assert_equal_with_gradients(head, reference)


def test_trcgl_starts_from_its_options():
    torch.manual_seed(0)
    head = build_head("trcgl", FEATURES, CLASSES, LEARNED, directed(), label_vectors())
    assert isinstance(head, TrcglHead)
    strengths = (head.reweighting.strength, head.attention_strength, head.graph_strength)
    assert [s.value.item() for s in strengths] == pytest.approx([0.8, 0.7, 0.6])
    assert head.log_temperature.exp().tolist() == pytest.approx([2.0] * CLASSES)
    centred = label_vectors() - label_vectors().mean(0)
    torch.testing.assert_close(head.graph.vectors.detach(), centred / centred.norm(dim=1, keepdim=True))
    assert head.graph.vectors.requires_grad


def test_rows_of_learned_length_start_as_long_as_the_plain_heads():
    """And those of unit length have nothing more to save."""
    torch.manual_seed(0)
    lengths = build_head("linear", 1280, 200, {}).get_parameter("classifier.weight").norm(dim=1)
    options = ({**LEARNED, "row_length": length} for length in ("learned", "unit"))
    learned, unit = (build_head("trcgl", FEATURES, CLASSES, chosen, directed()) for chosen in options)
    assert isinstance(learned, TrcglHead)
    assert isinstance(unit, TrcglHead)
    torch.testing.assert_close(learned.rows().norm(dim=1), lengths.mean().expand(CLASSES), rtol=0.01, atol=0)
    torch.testing.assert_close(unit.rows().norm(dim=1), torch.ones(CLASSES))
    assert learned.state_dict().keys() - unit.state_dict().keys() == {"log_length"}


def test_a_strength_of_zero_removes_its_part_for_good():
    part = torch.ones(2)
    off, on = Strength(0.0), Strength(0.5)
    assert list(off.parameters()) == []
    assert off.state_dict().keys() == on.state_dict().keys()
    assert off(part).tolist() == [0, 0]
    assert on(part).tolist() == [0.5, 0.5]
    (on(part).sum()).backward()
    assert on.value.grad == 2


@pytest.mark.parametrize("name", ["trcgl_paper", "trcgl"])
def test_without_strengths_the_head_is_the_linear_one(name: str):
    torch.manual_seed(2)
    head = build_head(name, FEATURES, CLASSES, {**OPTIONS[name], **OFF}, directed())
    torch.manual_seed(2)
    plain = build_head("linear", FEATURES, CLASSES, {})
    if name == "trcgl":  # Its rows have unit length
        weight = plain.get_parameter("classifier.weight")
        weight.data /= weight.data.norm(dim=1, keepdim=True)
    maps = random_maps()
    read = normalised(head.eval().norm, maps) if isinstance(head, TrcglPaperHead) else maps
    for found, expected in zip(head(maps), plain(read), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_the_label_graph_of_a_single_finding_learns():
    torch.manual_seed(0)
    head = build_head("trcgl", FEATURES, 1, OPTIONS["trcgl"], torch.ones(1, 1), torch.randn(1, WIDTH))
    head(random_maps())[0].sum().backward()
    gradients = {name: parameter.grad for name, parameter in head.named_parameters() if "graph" in name}
    assert all(gradient is not None and gradient.abs().max() > 0 for gradient in gradients.values()), gradients


@pytest.mark.parametrize("part", ["gate_strength", "attention_strength", "graph_strength"])
@pytest.mark.parametrize("name", ["trcgl_paper", "trcgl"])
def test_every_part_counts(name: str, part: str):
    whole, without = (head_of(name, None, **changes)(random_maps())[0] for changes in ({}, {part: 0.0}))
    assert (whole - without).abs().max() > 1e-4


@pytest.mark.parametrize("name", [name for name in HEADS if name != "mldecoder"])
def test_class_maps_sum_to_the_places_part_of_the_logit(name: str):
    changes = {"csra": {"heads": 4}, "trcgl_paper": {"graph_strength": 0.0}}
    head = head_of(name, **changes.get(name, {}))
    bias = head.bias if isinstance(head, CsraHead | MlgcnHead) else head.get_parameter("classifier.bias")
    if isinstance(head, TrcglPaperHead):
        bias = bias * (1 + head.attention_strength)
    logits, class_maps = head(random_maps())
    assert class_maps.shape == (BATCH, CLASSES, SIDE, SIDE)
    torch.testing.assert_close(class_maps.sum((2, 3)) + bias, logits, atol=1e-5, rtol=0)


def test_mldecoder_maps_are_attention_times_probability():
    head = head_of("mldecoder")
    logits, class_maps = head(random_maps())
    assert class_maps.shape == (BATCH, CLASSES, SIDE, SIDE)
    assert (class_maps > 0).all()
    torch.testing.assert_close(class_maps.sum((2, 3)), logits.sigmoid())
    # Places keep their order: a map turned on its side has its attention turned
    turned = head(random_maps().transpose(2, 3))[1]
    torch.testing.assert_close(turned, class_maps.transpose(2, 3), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", HEADS)
def test_attention_finds_the_place(name: str):
    """A picture with one feature at one place: a class that looks for it has its largest map value there."""
    head = head_of(name)
    maps = torch.zeros(1, FEATURES, SIDE, SIDE)
    maps[0, :, 1, 3] = head_weight(head)
    _, class_maps = head(maps)
    assert class_maps[0, 0].flatten().argmax() == SIDE + 3


def head_weight(head: Head) -> Tensor:
    """A feature that class 0 scores high."""
    if isinstance(head, MlDecoderHead):
        # What raises the mean of the heads' attention: found by gradient, at a place among dark ones
        feature = torch.randn(FEATURES, generator=torch.Generator().manual_seed(5)).requires_grad_()
        for _ in range(100):
            maps = torch.zeros(1, FEATURES, SIDE, SIDE).index_put(
                (torch.zeros(FEATURES, dtype=torch.long), torch.arange(FEATURES), torch.tensor(2), torch.tensor(2)),
                feature,
            )
            (gradient,) = torch.autograd.grad(head(maps)[1][0, 0, 2, 2], [feature])
            feature = (feature + 0.5 * gradient / gradient.norm()).detach().requires_grad_()
        return feature.detach()
    if isinstance(head, MlgcnHead):
        return head.graph().detach()[0].abs() * (head.graph().detach()[0] > 0)
    if isinstance(head, TrcglHead):
        return head.rows().detach()[0]
    if isinstance(head, CsraHead):
        return head.directions.weight.detach()[0]
    weight = head.get_parameter("classifier.weight").detach()[0]
    # Where the BatchNorm turns a channel around, so must the feature be
    return weight * head.norm.weight.detach() if isinstance(head, TrcglPaperHead) else weight


@pytest.mark.parametrize("name", HEADS)
def test_start_from_moves_every_logit_alike(name: str):
    head = head_of(name)
    zeros, log_odds = torch.zeros(CLASSES), torch.tensor([-3.0, -1.0, 0.5, -5.0])
    head.start_from(zeros)
    before = head(random_maps())[0]
    head.start_from(log_odds)
    times = 1.1 if name == "trcgl_paper" else 1.0  # The paper's attention logit has the bias once more
    torch.testing.assert_close(head(random_maps())[0] - before, (times * log_odds).expand(BATCH, -1))


def test_heads_need_what_fits():
    with pytest.raises(ValueError, match="'trcgl' needs an adjacency of 5 x 5"):
        build_head("trcgl", FEATURES, 5, LEARNED, directed())
    with pytest.raises(ValueError, match="needs label vectors"):
        build_head("mlgcn", FEATURES, CLASSES, {"hidden": 3}, directed())
    with pytest.raises(ValueError, match="needs 4 label vectors; there are 3"):
        build_head("trcgl", FEATURES, CLASSES, LEARNED, directed(), label_vectors()[:3])
    with pytest.raises(ValueError, match="'dense' is not known"):
        build_head("dense", FEATURES, CLASSES, {})


DATA = separable()
COOCCURRENCE = count_cooccurrence(DATA.targets[DATA.train], DATA.class_names, 1.0)


def params_of(name: str, folder: Any, **changes: Any):
    """Parameters with head `name`, with label vectors in a file and one thread's worth of work."""
    path = folder / "vectors.safetensors"
    write_label_vectors(path, "test", NAMES, np.eye(3, 5))
    adjacency = "mlgcn" if name == "mlgcn" else "lift"
    return classifier_params(head=name, adjacency=adjacency, label_vectors=str(path), **changes)


@pytest.mark.parametrize("name", HEADS)
def test_a_saved_model_loads_again(name: str, tmp_path):
    """Trained a little, so that nothing saved equals its start; the file of label vectors is gone by then."""
    params = params_of(name, tmp_path, epochs=1, frozen_epochs=0)
    model = train(params, DATA, CPU, cooccurrence=COOCCURRENCE).model
    model.save(tmp_path / "m")
    (tmp_path / "vectors.safetensors").unlink()
    again = Classifier.load(tmp_path / "m")
    assert again.config == model.config
    for key, value in model.state_dict().items():
        assert (again.state_dict()[key] == value).all(), key
    images = torch.from_numpy(DATA.images[DATA.val[:4]]).unsqueeze(1)
    with torch.no_grad():
        # The trained model's memory is laid out by channels, which changes the last bits
        for found, expected in zip(again(images), model.eval()(images), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", HEADS)
def test_a_separable_set_is_learned(name: str, tmp_path):
    params = params_of(name, tmp_path, frozen_epochs=0, epochs=10)
    trained = train(params, DATA, CPU, cooccurrence=COOCCURRENCE)
    assert trained.history["val_mAP"].max() > 0.9


@pytest.mark.parametrize("name", HEADS)
def test_the_options_are_the_heads_own(name: str, tmp_path):
    params = params_of(name, tmp_path)
    model = build_model(params, DATA, COOCCURRENCE)
    assert model.config.head_options == head_options(params)
    assert all(p.requires_grad for p in model.head.parameters())
    decaying = [p for g in parameter_groups(model, 0.05) if g["weight_decay"] for p in g["params"]]
    strengths = [m.value for m in model.head.modules() if isinstance(m, Strength)]
    assert len(strengths) == (3 if name == "trcgl" else 0)
    assert not any(s is p for s in strengths for p in decaying)
    if name in WITH_GRAPH:
        with pytest.raises(ValueError, match="needs the co-occurrence counts"):
            build_model(params, DATA, None)


def test_the_paper_ignores_the_files_vectors(tmp_path):
    paper, ours = (build_model(params_of(n, tmp_path), DATA, COOCCURRENCE).head for n in ("trcgl_paper", "trcgl"))
    assert isinstance(paper, TrcglPaperHead)
    assert isinstance(ours, TrcglHead)
    assert paper.graph.prototypes.vectors.shape == (3, LABEL_EMBEDDING)
    assert ours.graph.vectors.shape == (3, 5)


def test_a_strength_learns(tmp_path):
    params = params_of("trcgl", tmp_path, epochs=2, frozen_epochs=0, gate_strength=0.0)
    head = train(params, DATA, CPU, cooccurrence=COOCCURRENCE).model.head
    assert isinstance(head, TrcglHead)
    assert head.reweighting.strength.value == 0
    assert head.attention_strength.value.item() != pytest.approx(0.1, abs=1e-4)
    assert head.graph_strength.value.item() != pytest.approx(0.05, abs=1e-4)
    assert math.isfinite(head.log_temperature.sum().item())
