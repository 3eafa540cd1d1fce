"""Parameter groups and learning rates: what decays, which layer learns how fast, and when."""

import math

import pytest
import torch

from tests.classifier_cases import baseline_params, classifier_params, separable
from trcgl.classifier.training.build import build_model
from trcgl.classifier.training.optimizer import build_optimizer, parameter_groups, set_learning_rates
from trcgl.classifier.training.schedule import epochs_of, phase_of, stops_early
from trcgl.config import TrainingParams
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.numerics.gradients import clip_gradients

DATA = separable()
COOCCURRENCE = count_cooccurrence(DATA.targets[DATA.train], DATA.class_names, 1.0)


def rates(optimizer: torch.optim.Optimizer, params: TrainingParams, progress: float) -> tuple[float, float]:
    """(backbone, head)."""
    set_learning_rates(optimizer, params, progress)
    found = {group["part"]: group["lr"] for group in optimizer.param_groups}
    return found["backbone"], found["head"]


def test_learning_rates_by_phase():
    params = baseline_params(frozen_epochs=1, epochs=4, retrain_head_epochs=2, warmup_epochs=1.0, lr=0.1, head_lr=0.2)
    optimizer = build_optimizer(build_model(params, DATA, None), params)
    assert rates(optimizer, params, -0.5) == (0.1, 0.2)
    assert rates(optimizer, params, 0.5) == pytest.approx((0.05, 0.1))
    assert rates(optimizer, params, 1.0) == pytest.approx((0.1, 0.2))
    assert rates(optimizer, params, 2.5) == pytest.approx((0.1 * (0.01 + 0.99 / 2), 0.2 * (0.01 + 0.99 / 2)))
    assert rates(optimizer, params, 4.0) == pytest.approx((0.001, 0.002))
    assert rates(optimizer, params, 4.0 + 1e-9)[1] == pytest.approx(0.2)
    assert rates(optimizer, params, 5.0)[1] == pytest.approx(0.2 * (0.01 + 0.99 / 2))
    assert rates(optimizer, params, 6.0)[1] == pytest.approx(0.002)


@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_biases_and_norms_do_not_decay(layer_decay: float):
    model = build_model(classifier_params(), DATA, COOCCURRENCE)
    groups = parameter_groups(model, 0.05, layer_decay)
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(decays) == len(list(model.parameters()))
    assert all(decays[id(p)] == (0.05 if p.ndim >= 2 else 0.0) for p in model.parameters())


@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_what_a_vision_transformer_exempts_does_not_decay(layer_decay: float):
    params = baseline_params(backbone="test_vit", backbone_options={"img_size": 32})
    model = build_model(params, DATA, None)
    decays = {
        id(p): group["weight_decay"] for group in parameter_groups(model, 0.05, layer_decay) for p in group["params"]
    }
    found = {name: decays[id(p)] for name, p in model.backbone.named_parameters() if p.ndim >= 2}
    exempt = {name for name, decay in found.items() if decay == 0}
    assert "pos_embed" in exempt
    assert exempt == {"pos_embed", "cls_token", "reg_token"} & set(found)


def test_lower_layers_learn_more_slowly():
    """ResNet: a stem and four stages of one block; the topmost stage and the head keep their rates."""
    params = baseline_params(layer_decay=0.5, frozen_epochs=0, lr=0.1, head_lr=0.2, warmup_epochs=0.0)
    model = build_model(params, DATA, None)
    optimizer = build_optimizer(model, params)
    set_learning_rates(optimizer, params, 0.0)
    found = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        part, layer, *_ = name.split(".")
        below = {"conv1": 4, "bn1": 4, "layer1": 3, "layer2": 2, "layer3": 1, "layer4": 0}.get(layer, 0)
        assert found[id(parameter)] == pytest.approx(0.2 if part == "head" else 0.1 * 0.5**below), name


def test_phases():
    params = baseline_params(frozen_epochs=2, epochs=1, retrain_head_epochs=1)
    assert [phase_of(params, epoch) for epoch in range(epochs_of(params))] == ["head", "head", "all", "retrain"]


def test_training_stops_after_epochs_without_a_better_score():
    def stops(scores: list[float], patience: int | None) -> bool:
        rows = [{"phase": "all", "val_mAP": score} for score in scores]
        return stops_early([{"phase": "head", "val_mAP": 0.9}, *rows], patience)

    assert not stops([0.5, 0.4, 0.3, 0.2], None)
    assert not stops([0.5, 0.4], 2)
    assert stops([0.5, 0.4, 0.5], 2)
    assert not stops([0.5, 0.4, 0.51], 2)
    assert not stops([0.5], 1)
    assert not stops([math.nan] * 5, 1)


@pytest.mark.parametrize(("limit", "left"), [(1.0, 1.0), (100.0, 13.0), (0.0, 13.0)])
def test_gradients_are_clipped_to_the_norm_of_all_together(limit: float, left: float):
    first, second, unused = (torch.nn.Parameter(torch.zeros(2)) for _ in range(3))
    first.grad, second.grad = torch.tensor([3.0, 4.0]), torch.tensor([0.0, -12.0])
    assert clip_gradients(iter([first, second, unused]), limit).item() == pytest.approx(13)
    both = torch.cat([first.grad, second.grad])
    assert both.norm().item() == pytest.approx(left, rel=1e-5)
    assert both / both.norm() == pytest.approx(torch.tensor([3.0, 4.0, 0.0, -12.0]) / 13)
