"""The trainer end to end on a set that can be learned in seconds."""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from tests.classifier_cases import (
    CONVNEXT,
    CPU,
    baseline_params,
    classifier_params,
    separable,
    with_synthetic,
)
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.scaling import Scaling
from trcgl.classifier.training import build, one_image, state
from trcgl.classifier.training import train as trainer
from trcgl.classifier.training.build import build_model
from trcgl.classifier.training.calibration import fit_scalings
from trcgl.classifier.training.losses.bce import BinaryCrossEntropy
from trcgl.classifier.training.losses.ldam_drw import LdamDrw
from trcgl.classifier.training.optimizer import parameter_groups, set_learning_rates
from trcgl.classifier.training.run import validation_figures
from trcgl.classifier.training.schedule import share_done
from trcgl.classifier.training.thresholds import tune_thresholds
from trcgl.classifier.training.train import Trained, fixed_batches, train
from trcgl.config import LOSSES, TrainingParams
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.metrics import mean_average_precision
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.compiling import naming_the_compiler
from trcgl.runtime.errors import InputError

DATA = separable()
COOCCURRENCE = count_cooccurrence(DATA.targets[DATA.train], DATA.class_names, 1.0)


pytestmark = pytest.mark.usefixtures("one_thread")


def same(a: Trained, b: Trained) -> bool:
    weights = zip(a.model.state_dict().values(), b.model.state_dict().values(), strict=True)
    return (
        a.history.equals(b.history)
        and a.best_epoch == b.best_epoch
        and a.model.thresholds == b.model.thresholds
        and (a.val_probabilities == b.val_probabilities).all()
        and all((x == y).all() for x, y in weights)
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_a_separable_set_is_learned(loss: str):
    trained = train(classifier_params(loss=loss, frozen_epochs=0, epochs=8), DATA, CPU, cooccurrence=COOCCURRENCE)
    assert trained.history["val_mAP"].max() > 0.9
    losses = trained.history["loss"]
    assert losses.iloc[6] < losses.iloc[0]  # in the eighth and last epoch a loss with deferred weights is another one
    assert trained.history["epoch"].tolist() == list(range(1, 9))


def test_figures_to_choose_by_are_means_over_findings_that_have_a_score():
    labels = np.array([[1, 0, 0, np.nan], [0, 1, 0, 1], [1, np.nan, 0, 0], [0, 1, 0, 0], [1, 0, 0, 1]], np.float32)
    groups = ("head", "tail", "tail", "tail")
    data = replace(
        DATA, targets=np.concatenate([np.ones_like(labels), labels]), val=np.arange(5, 10),
        class_names=tuple("abcd"), class_groups=groups,
    )  # fmt: skip
    scores = np.random.default_rng(0).random((5, 4)).astype(np.float32)
    known = ~np.isnan(labels)
    found = [average_precision_score(labels[known[:, c], c], scores[known[:, c], c]) for c in (0, 1, 3)]
    figures = validation_figures(data, scores)
    assert figures["mAP"] == pytest.approx(np.mean(found))
    assert figures["head_mAP"] == pytest.approx(found[0])
    assert figures["tail_mAP"] == pytest.approx(np.mean(found[1:]))
    assert math.isnan(figures["medium_mAP"])


def test_the_model_is_that_of_the_best_epoch(tmp_path: Path):
    trained = train(baseline_params(), DATA, CPU)
    best = trained.history["val_mAP"].max()
    assert trained.history.set_index("epoch")["val_mAP"][trained.best_epoch] == best
    assert mean_average_precision(DATA.targets[DATA.val], trained.val_probabilities) == best
    trained.model.save(tmp_path / "m")
    assert trained.history["phase"].tolist() == ["head", "all", "all", "all"]
    assert Classifier.load(tmp_path / "m").thresholds == trained.model.thresholds


@pytest.mark.parametrize(
    "knobs",
    [
        {"extra_source": "synthetic", "extra_until": 0.75},
        {"extra_source": "duplicates", "extra_until": 0.75},
        {"epochs": 1, "retrain_head_epochs": 2, "sampler": "class_aware", "layer_decay": 0.7, "accumulate": 2},
    ],
)
def test_a_killed_run_continues_to_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knobs: dict[str, Any]
):
    """Killed after the frozen epoch, while extra images take part, and while a head is retrained: the same bits."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    params, data = classifier_params(**knobs), with_synthetic(DATA, 30)
    whole = train(params, data, CPU, cooccurrence=COOCCURRENCE)

    class Killed(Exception):
        pass

    class Kills(ResumePoint):
        def save(self, state: dict[str, Any]) -> None:
            super().save(state)
            if state["epochs_done"] in (1, 2, 3):
                raise Killed

    for _ in range(3):
        with pytest.raises(Killed):
            train(params, data, CPU, cooccurrence=COOCCURRENCE, resume=Kills("train", params=params))
    resumed = train(params, data, CPU, cooccurrence=COOCCURRENCE, resume=ResumePoint("train", params=params))
    assert same(whole, resumed)


def test_deferred_weights_come_in_a_resumed_run_when_they_come_in_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Killed before the last of five epochs, the only one with deferred weights: bit for bit the whole run."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    params = baseline_params(loss="ldam_drw", frozen_epochs=1, epochs=4)
    shares, start_epoch = [], LdamDrw.start_epoch

    def recorded(loss: LdamDrw, share: float) -> None:
        start_epoch(loss, share)
        shares.append((share, loss.reweighted))

    monkeypatch.setattr(LdamDrw, "start_epoch", recorded)
    whole = train(params, DATA, CPU)

    class Killed(Exception):
        pass

    class Kills(ResumePoint):
        def save(self, state: dict[str, Any]) -> None:
            super().save(state)
            if state["epochs_done"] == 4:
                raise Killed

    with pytest.raises(Killed):
        train(params, DATA, CPU, resume=Kills("train", params=params))
    assert same(whole, train(params, DATA, CPU, resume=ResumePoint("train", params=params)))
    assert shares == 2 * [(0.0, False), (0.2, False), (0.4, False), (0.6, False), (1.0, True)]


@pytest.mark.parametrize(
    ("frozen", "epochs", "retrain", "first"),
    [(0, 1, 0, None), (0, 4, 0, 3), (0, 6, 2, 5), (2, 18, 6, 16), (20, 180, 0, 160)],
)
def test_a_loss_that_changes_late_changes_before_the_head_is_retrained(
    frozen: int, epochs: int, retrain: int, first: int | None
):
    """160 of 200 epochs, as in the paper; the last one in a short run; a retrained head throughout."""
    params = baseline_params(frozen_epochs=frozen, epochs=epochs, retrain_head_epochs=retrain)
    late = [share_done(params, epoch) >= 0.8 for epoch in range(frozen + epochs + retrain)]
    assert late == [first is not None and epoch >= first for epoch in range(len(late))]


def test_frozen_epochs_leave_the_backbone_alone():
    params = baseline_params(frozen_epochs=1, epochs=0)
    before = _untrained(params)
    after = train(params, DATA, CPU).model
    for key, value in before.backbone.state_dict().items():
        assert (after.backbone.state_dict()[key] == value).all(), key
    assert (classifier_of(after, "weight") != classifier_of(before, "weight")).any()


def test_a_smaller_step_at_a_time_comes_to_the_same(monkeypatch: pytest.MonkeyPatch):
    """Gradient accumulation with plain SGD, which shows a wrong scale of the gradient; no BatchNorm, no dropout."""
    monkeypatch.setattr(
        state, "build_optimizer", lambda model, params: torch.optim.SGD(parameter_groups(model, params.weight_decay))
    )
    monkeypatch.setattr(trainer, "CLIP_NORM", 0.0)
    without_batch_norm = {"backbone": "convnext_atto", "backbone_options": CONVNEXT, "head": "trcgl"}
    without_batch_norm["graph_strength"] = 0.0
    params = classifier_params(**without_batch_norm, frozen_epochs=0, lr=0.05, head_lr=0.05)
    whole, parts = (
        train(replace(params, accumulate=accumulate), with_synthetic(DATA, 30), CPU, cooccurrence=COOCCURRENCE)
        for accumulate in (1, 4)
    )
    assert parts.history["loss"].to_numpy() == pytest.approx(whole.history["loss"].to_numpy(), rel=1e-4)
    torch.manual_seed(params.seed)
    before = flat(build_model(params, with_synthetic(DATA, 30), COOCCURRENCE))
    moved = [flat(trained.model) - before for trained in (whole, parts)]
    assert moved[0].norm() > 0.1
    assert (moved[1] - moved[0]).norm() < 1e-3 * moved[0].norm()


def flat(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_parts_of_a_batch_are_equal():
    with pytest.raises(InputError, match=r"100 images does not divide .*'baseline\.accumulate' 7 .* multiple of 7,"):
        train(baseline_params(accumulate=7, batch_size=100, repeat_threshold=0.0), DATA, CPU)


def test_training_ends_early_and_the_head_is_retrained_all_the_same(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trainer, "mean_average_precision", lambda *_: 0.5)
    history = train(baseline_params(epochs=4, patience=1, retrain_head_epochs=1), DATA, CPU).history
    assert history["epoch"].tolist() == [1, 2, 3, 6]
    assert history["phase"].tolist() == ["head", "all", "all", "retrain"]


def test_what_the_schedule_cannot_do_is_said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trainer, "mean_average_precision", lambda *_: 0.5)
    params = baseline_params(frozen_epochs=0, epochs=1, warmup_epochs=1.0, retrain_head_epochs=1)
    assert train(params, DATA, CPU).best_epoch == 1
    assert "'baseline.warmup_epochs' is 1 of 1 epochs: the learning rate only rises" in caplog.text
    assert "the retrained head is not kept: epoch 1 is better on validation images" in caplog.text


def test_a_new_head_is_trained_on_the_best_backbone(monkeypatch: pytest.MonkeyPatch):
    """Every epoch is called better than the one before: the last is kept, on the backbone that was best before it."""
    drawn = []
    spied = trainer.class_aware_order
    monkeypatch.setattr(trainer, "class_aware_order", lambda *args: drawn.append(args[-1]) or spied(*args))

    def trained(epochs: int) -> Classifier:
        scores = itertools.count()
        monkeypatch.setattr(trainer, "mean_average_precision", lambda *_: float(next(scores)))
        return train(baseline_params(frozen_epochs=0, epochs=2, retrain_head_epochs=epochs), DATA, CPU).model

    before, after = trained(0), trained(2)
    for key, value in before.backbone.state_dict().items():
        assert (after.backbone.state_dict()[key] == value).all(), key
    assert (classifier_of(after, "weight") != classifier_of(before, "weight")).any()
    assert drawn == [2, 3]
    with monkeypatch.context() as patch:  # Without a step, the new head is as it was before all training
        patch.setattr(trainer, "set_learning_rates", stand_still)
        standing = trained(1)
    params = baseline_params()
    for key, value in _untrained(params).head.state_dict().items():
        assert (standing.head.state_dict()[key] == value).all(), key


def stand_still(optimizer: torch.optim.Optimizer, params: TrainingParams, progress: float) -> None:
    set_learning_rates(optimizer, params, progress)
    for group in optimizer.param_groups:
        group["lr"] *= progress <= params.epochs


def classifier_of(model: Classifier, name: str) -> torch.Tensor:
    """`weight` or `bias` of the head's linear layer."""
    return model.head.get_parameter(f"classifier.{name}").detach()


def _untrained(params: TrainingParams) -> Classifier:
    torch.manual_seed(params.seed)
    return build_model(params, DATA, None)


@pytest.mark.parametrize(
    ("backbone", "options", "warned"), [("resnet10t", None, True), ("convnext_atto", CONVNEXT, False)]
)
def test_batchnorm_that_sees_one_image_at_once_is_said_aloud(
    monkeypatch: pytest.MonkeyPatch, backbone: str, options: dict[str, Any] | None, warned: bool
):
    said: list[str] = []
    monkeypatch.setattr(one_image.log, "warning", lambda text, *values: said.append(text % values))
    changes = {"backbone": backbone} | ({} if options is None else {"backbone_options": options})
    train(
        baseline_params(epochs=1, batch_size=4, accumulate=4, frozen_epochs=0, **changes), DATA, CPU, steps_per_epoch=1
    )
    assert len(said) == warned
    assert all("'baseline.batch_size' / 'accumulate' is 1 image" in line for line in said)
    assert all("lower accumulate, raise batch_size" in line for line in said)


@pytest.mark.parametrize(
    ("precision", "remedy"),
    [("fp32", "lower"), ("bf16", r"set 'compute\.precision' to fp32, or lower")],
)
def test_a_loss_that_is_not_finite_stops_with_the_images(monkeypatch: pytest.MonkeyPatch, precision: str, remedy: str):
    class Broken(BinaryCrossEntropy):
        def terms(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return logits * math.nan

    monkeypatch.setattr(build, "build_loss", lambda _, *counts: Broken(*counts))
    rates = r"'baseline\.lr' and 'baseline\.head_lr'"
    images = r"image\d+, image\d+, image\d+ and \d+ more"
    with pytest.raises(
        InputError, match=rf"epoch 1, step 1: the loss is nan; {remedy} {rates}; images of the batch: {images}$"
    ):
        train(baseline_params(epochs=1), DATA, replace(CPU, precision=precision))


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_a_gradient_that_is_not_finite_stops_with_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip_norm: float
):
    """The root of zero has a value, but no slope: the loss alone would look well until the weights are lost."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(trainer, "CLIP_NORM", clip_norm)

    class Broken(BinaryCrossEntropy):
        def terms(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            broken = (logits - logits).sqrt() if self.calls == 9 else 0.0
            self.calls += 1
            return super().terms(logits, targets) + broken

        calls = 0

    monkeypatch.setattr(build, "build_loss", lambda _, *counts: Broken(*counts))
    params, point = baseline_params(epochs=2, frozen_epochs=0), ResumePoint("train", params=1)
    with pytest.raises(InputError, match=r"epoch 2, step \d: the gradient's norm is nan;.*image\d+, image"):
        train(params, DATA, CPU, steps_per_epoch=6, resume=point)
    kept = ResumePoint("train", params=1).load()
    assert kept is not None
    assert kept["epochs_done"] == 1
    assert all(value.isfinite().all() for value in kept["model"].values())


def test_float16_whose_gradient_is_finite_at_no_scale_stops(monkeypatch: pytest.MonkeyPatch):
    """The loss scaler skips each such step: without this stop, the weights of the start would be the result."""
    scaler = torch.amp.GradScaler
    monkeypatch.setattr(state.torch.amp, "GradScaler", lambda device, enabled: scaler(device, enabled=True))

    class Broken(BinaryCrossEntropy):
        def terms(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return super().terms(logits, targets) + (logits - logits).sqrt()

    monkeypatch.setattr(build, "build_loss", lambda _, *counts: Broken(*counts))
    with pytest.raises(InputError, match=r"epoch 3, step 6: the gradient is not finite at any scale; "):
        train(baseline_params(epochs=4, frozen_epochs=0), DATA, CPU, steps_per_epoch=6)


def test_a_small_set_has_batches_of_equal_parts_in_every_epoch():
    """Twelve images whose factors sum to 12.6 are 12 or 13 rows in an epoch."""
    few = replace(DATA, train=DATA.train[:12])
    params = baseline_params(epochs=4, frozen_epochs=0, batch_size=32, accumulate=2, repeat_threshold=0.9)
    assert len(train(params, few, CPU).history) == 4


def test_a_finding_without_a_validation_positive_is_named(caplog: pytest.LogCaptureFixture):
    targets = DATA.targets.copy()
    targets[DATA.val, 1] = 0
    trained = train(baseline_params(epochs=1, frozen_epochs=0), replace(DATA, targets=targets), CPU)
    name = DATA.class_names[1]
    assert f"no validation image has, or none lacks, {name}: not calibrated there" in caplog.text
    assert trained.model.thresholds[name] == 0.5
    assert trained.model.scalings[name] == Scaling()


def test_the_start_is_the_prevalence():
    model = build_model(baseline_params(), DATA, None)
    known = DATA.targets[DATA.train]
    share = ((known == 1).sum(0) + 0.5) / ((known == 1).sum(0) + (known == 0).sum(0) + 1)
    assert classifier_of(model, "bias").sigmoid().numpy() == pytest.approx(share)


def test_a_prior_in_the_loss_is_not_in_the_model_too():
    model = build_model(baseline_params(loss="logit_adjustment"), DATA, None)
    assert classifier_of(model, "bias").tolist() == [0, 0, 0]


def test_fixed_batches():
    assert [b.tolist() for b in fixed_batches(np.arange(10), 4, 2, 1)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [b.tolist() for b in fixed_batches(np.arange(5), 3, 2, 1)] == [[0, 1, 2], [3, 4, 0]]
    assert [b.tolist() for b in fixed_batches(np.arange(3), 4, 1, 1)] == [[0, 1, 2]]
    # In two equal parts, whether an epoch has one row more or less
    assert [b.tolist() for b in fixed_batches(np.arange(13), 32, 1, 2)] == [list(range(12))]
    assert [b.tolist() for b in fixed_batches(np.arange(1), 32, 1, 2)] == [[0]]


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


def compile_with(monkeypatch: pytest.MonkeyPatch, backend: Any) -> None:
    """Let `compute.compile` use another backend than the one that needs a C++ compiler and a minute."""
    compiled = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled(self, backend=backend))


def test_a_compiled_network_learns_the_same(monkeypatch: pytest.MonkeyPatch):
    graphs = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    compile_with(monkeypatch, backend)
    params = classifier_params(epochs=2)
    plain, compiled = (
        train(params, DATA, replace(CPU, compile=on), cooccurrence=COOCCURRENCE, steps_per_epoch=4)
        for on in (False, True)
    )
    assert graphs
    assert np.allclose(plain.val_probabilities, compiled.val_probabilities, atol=1e-5)


def test_a_failing_compiler_is_one_line(monkeypatch: pytest.MonkeyPatch):
    def backend(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no compiler\nin sight")

    compile_with(monkeypatch, backend)
    with (
        pytest.raises(InputError, match=r"^'compute.compile': torch cannot compile here; set it to false \([^\n]*$"),
        naming_the_compiler(),
    ):
        train(classifier_params(), DATA, replace(CPU, compile=True), cooccurrence=COOCCURRENCE, steps_per_epoch=4)
    torch._dynamo.reset()


def test_calibration_is_at_the_prevalence_of_the_training_images(monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(trainer, "fit_scalings", lambda y, p, w: seen.append((y, w)) or fit_scalings(y, p, w))
    train(baseline_params(frozen_epochs=0, epochs=1), DATA, CPU, steps_per_epoch=1)
    ((labels, weights),) = seen
    share = np.nanmean(DATA.targets[DATA.train], axis=0)
    assert np.average(labels, axis=0, weights=weights) == pytest.approx(share, rel=1e-3)
    assert labels.mean(axis=0) != pytest.approx(share, rel=1e-3)


def test_the_sampler_and_the_averaging_of_the_parameters_are_those_of_the_run(monkeypatch: pytest.MonkeyPatch):
    drawn, spied = [], trainer.class_aware_order
    monkeypatch.setattr(trainer, "class_aware_order", lambda *args: drawn.append(args[-1]) or spied(*args))
    train(baseline_params(sampler="class_aware", frozen_epochs=1, epochs=1), DATA, CPU, steps_per_epoch=1)
    assert set(drawn) == {0, 1}
    raw, averaged = (
        train(baseline_params(frozen_epochs=0, epochs=1, ema_decay=decay), DATA, CPU, steps_per_epoch=4).model
        for decay in (0.0, 0.9)
    )
    assert not torch.equal(classifier_of(raw, "weight"), classifier_of(averaged, "weight"))
