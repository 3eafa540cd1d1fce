"""The trainer end to end on a set that can be learned in seconds."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.classifier_cases import CPU, baseline_params, classifier_params, separable, with_synthetic
from trcgl.classifier import train as trainer
from trcgl.classifier.build import build_model
from trcgl.classifier.model import Classifier
from trcgl.classifier.thresholds import tune_thresholds
from trcgl.classifier.train import (
    Trained,
    fixed_batches,
    parameter_groups,
    set_learning_rates,
    train,
)
from trcgl.evaluation.metrics import mean_average_precision
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.errors import InputError

DATA = separable()
COOCCURRENCE = count_cooccurrence(DATA.targets[DATA.train], DATA.class_names, 1.0)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def same(a: Trained, b: Trained) -> bool:
    weights = zip(a.model.state_dict().values(), b.model.state_dict().values(), strict=True)
    return (
        a.history.equals(b.history)
        and a.best_epoch == b.best_epoch
        and a.model.thresholds == b.model.thresholds
        and (a.val_probabilities == b.val_probabilities).all()
        and all((x == y).all() for x, y in weights)
    )


@pytest.mark.parametrize("loss", ["bce", "asl", "effective_number_margin"])
def test_a_separable_set_is_learned(loss: str):
    trained = train(classifier_params(loss=loss, frozen_epochs=0, epochs=8), DATA, CPU, cooccurrence=COOCCURRENCE)
    assert trained.history["val_mAP"].max() > 0.9
    assert trained.history["loss"].iloc[-1] < trained.history["loss"].iloc[0]
    assert trained.history["epoch"].tolist() == list(range(1, 9))


def test_the_model_is_that_of_the_best_epoch(tmp_path: Path):
    trained = train(baseline_params(), DATA, CPU)
    best = trained.history["val_mAP"].max()
    assert trained.history.set_index("epoch")["val_mAP"][trained.best_epoch] == best
    assert mean_average_precision(DATA.targets[DATA.val], trained.val_probabilities) == best
    trained.model.save(tmp_path / "m")
    assert trained.history["phase"].tolist() == ["head", "all", "all", "all"]
    assert Classifier.load(tmp_path / "m").thresholds == trained.model.thresholds


@pytest.mark.parametrize("source", ["synthetic", "duplicates"])
def test_a_killed_run_continues_to_the_same_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str):
    """Killed once after the frozen epoch and once while extra images take part: bit for bit the uninterrupted run."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    params, data = classifier_params(extra_source=source, extra_until=0.75), with_synthetic(DATA, 30)
    whole = train(params, data, CPU, cooccurrence=COOCCURRENCE)

    class Killed(Exception):
        pass

    class Kills(ResumePoint):
        def save(self, state: dict[str, Any]) -> None:
            super().save(state)
            if state["epochs_done"] in (1, 3):
                raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            train(params, data, CPU, cooccurrence=COOCCURRENCE, resume=Kills("train", params=params))
    resumed = train(params, data, CPU, cooccurrence=COOCCURRENCE, resume=ResumePoint("train", params=params))
    assert same(whole, resumed)


def test_frozen_epochs_leave_the_backbone_alone():
    params = baseline_params(frozen_epochs=1, epochs=0)
    before = _untrained(params)
    after = train(params, DATA, CPU).model
    for key, value in before.backbone.state_dict().items():
        assert (after.backbone.state_dict()[key] == value).all(), key
    assert (after.head.classifier.weight != before.head.classifier.weight).any()


def _untrained(params) -> Classifier:
    torch.manual_seed(params.seed)
    return build_model(params, DATA, None)


def test_a_loss_that_is_no_number_stops_with_the_images(monkeypatch: pytest.MonkeyPatch):
    class Broken(torch.nn.Module):
        def forward(self, logits: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
            return logits.sum() * math.nan

    monkeypatch.setattr(trainer, "build_loss", lambda *_: Broken())
    with pytest.raises(InputError, match=r"epoch 1, step 1: the loss is nan.*image\d+, image"):
        train(baseline_params(epochs=1), DATA, CPU)


def test_learning_rates_by_phase():
    params = baseline_params(frozen_epochs=1, epochs=4, warmup_epochs=1.0, lr=0.1, head_lr=0.2)
    optimizer = torch.optim.AdamW(parameter_groups(_untrained(params), 0.01))

    def rates(progress: float) -> tuple[float, float]:
        set_learning_rates(optimizer, params, progress)
        found = {group["part"]: group["lr"] for group in optimizer.param_groups}
        return found["backbone"], found["head"]

    assert rates(-0.5) == (0.1, 0.2)
    assert rates(0.5) == pytest.approx((0.05, 0.1))
    assert rates(1.0) == pytest.approx((0.1, 0.2))
    assert rates(2.5) == pytest.approx((0.1 * (0.01 + 0.99 / 2), 0.2 * (0.01 + 0.99 / 2)))
    assert rates(4.0) == pytest.approx((0.001, 0.002))


def test_biases_and_norms_do_not_decay():
    model = build_model(classifier_params(), DATA, COOCCURRENCE)
    groups = parameter_groups(model, 0.05)
    assert all(p.ndim >= 2 for g in groups if g["weight_decay"] for p in g["params"])
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))


def test_the_start_is_the_prevalence():
    model = build_model(baseline_params(), DATA, None)
    known = DATA.targets[DATA.train]
    share = ((known == 1).sum(0) + 0.5) / ((known == 1).sum(0) + (known == 0).sum(0) + 1)
    assert model.head.classifier.bias.sigmoid().detach().numpy() == pytest.approx(share)


def test_fixed_batches():
    assert [b.tolist() for b in fixed_batches(np.arange(10), 4, 2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [b.tolist() for b in fixed_batches(np.arange(5), 3, 2)] == [[0, 1, 2], [3, 4, 0]]
    assert [b.tolist() for b in fixed_batches(np.arange(3), 4, 1)] == [[0, 1, 2]]


def test_thresholds_have_the_best_f1():
    rng = np.random.default_rng(0)
    targets = (rng.random((200, 3)) < 0.3).astype(float)
    targets[:, 1] = 0
    targets[::9, 2] = np.nan
    scores = np.clip(0.3 * np.nan_to_num(targets) + 0.7 * rng.random((200, 3)), 0, 1)
    found = tune_thresholds(targets, scores)
    assert found[1] == 0.5
    for c in (0, 2):
        known = ~np.isnan(targets[:, c])
        y, s = targets[known, c], scores[known, c]

        def f1(t: float, y: np.ndarray = y, s: np.ndarray = s) -> float:
            return 2 * (y * (s >= t)).sum() / (y.sum() + (s >= t).sum())

        assert f1(found[c]) == max(f1(t) for t in s)
        assert found[c] not in s
