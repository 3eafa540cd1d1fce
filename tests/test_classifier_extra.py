"""Extra images: on top of the real ones, matched in count and finding, and counted nowhere."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.classifier_cases import CPU, baseline_params, classifier_params, separable, with_synthetic
from trcgl.classifier.training import train as trainer
from trcgl.classifier.training.data import TrainingData
from trcgl.classifier.training.extra import Extra, extra_images, extra_weight, with_extra
from trcgl.classifier.training.losses.bce import BinaryCrossEntropy
from trcgl.classifier.training.train import fixed_batches, train
from trcgl.config import TrainingParams
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.runtime.errors import InputError

WHOLE = separable()
DATA = with_synthetic(WHOLE, 40)
COOCCURRENCE = count_cooccurrence(DATA.targets[DATA.train], DATA.class_names, 1.0)


def epochs_of(params: TrainingParams, data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """(rows [steps, B], weights [steps, B]) of every epoch that a run trains on."""
    seen: list[np.ndarray] = []

    def recorded(order: np.ndarray, batch_size: int, steps: int, parts: int) -> list[np.ndarray]:
        batches = fixed_batches(order, batch_size, steps, parts)
        seen.append(np.stack(batches))
        return batches

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "fixed_batches", recorded)
        train(params, data, CPU, cooccurrence=COOCCURRENCE)
    return list(zip(seen[::2], seen[1::2], strict=True))


RARE = 2
"""Column of a finding."""
TARGETS = np.unique(DATA.synthetic_target)
"""Columns of the findings that the synthetic images were drawn for."""


@pytest.mark.parametrize("source", ["synthetic", "duplicates"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_the_dose_is_a_share_of_what_an_epoch_shows(source: str, share: float):
    order = np.repeat(DATA.train, 3)
    extra = extra_images(classifier_params(extra_source=source, extra_exposure=share), DATA, order)
    for epoch in range(3):
        rows = extra.of_epoch(0, epoch)
        assert np.isin(rows, DATA.synthetic if source == "synthetic" else DATA.train).all()
        assert len(rows) == sum(extra.times.values())
        for target in TARGETS.tolist():
            real = (DATA.targets[order, target] == 1).sum()
            assert extra.times[target] / (extra.times[target] + real) == pytest.approx(share, abs=0.01)
            assert np.isin(rows, extra.rows[target]).sum() >= extra.times[target]


def test_arms_take_as_many_steps_and_show_every_real_image_as_often(monkeypatch: pytest.MonkeyPatch):
    """One frozen epoch without extra images, two with, one after `extra_until` without; the baseline never has one."""
    knobs = {"extra_exposure": 0.6, "extra_weight": 0.25, "extra_until": 0.75}
    plain, duplicates, synthetic = (
        epochs_of(classifier_params(extra_source=source, **knobs), DATA, monkeypatch)
        for source in ("none", "duplicates", "synthetic")
    )
    shapes = [[len(rows) for rows, _ in run] for run in (plain, duplicates, synthetic)]
    assert shapes[1] == shapes[2]
    assert [more > real for more, real in zip(shapes[1], shapes[0], strict=True)] == [False, True, True, False]
    for (real, _), (rows, weights), (doubled, others) in zip(plain, synthetic, duplicates, strict=True):
        drawn = np.isin(rows, DATA.synthetic)
        assert (weights == np.where(drawn, 0.25, 1.0)).all()
        # What does not fill a batch goes to nobody
        assert abs((~drawn).sum() - real.size) < 2 * real.shape[1]
        assert abs((others == 0.25).sum() - drawn.sum()) < 2 * real.shape[1]
        assert not np.isin(np.concatenate([rows, doubled]), DATA.val).any()
        assert not np.isin(doubled, DATA.synthetic).any()
    for params in (baseline_params(), classifier_params(extra_source="none")):
        assert not any(np.isin(rows, DATA.synthetic).any() for rows, _ in epochs_of(params, DATA, monkeypatch))


def test_without_extra_images_nothing_differs(monkeypatch: pytest.MonkeyPatch):
    """Exposure 0, weight 0, share of the epochs 0 and source none are the same run."""
    runs = [
        epochs_of(classifier_params(**knob), DATA, monkeypatch)
        for knob in ({"extra_source": "none"}, {"extra_exposure": 0.0}, {"extra_weight": 0.0}, {"extra_until": 0.0})
    ]
    for other in runs[1:]:
        for (a, u), (b, v) in zip(runs[0], other, strict=True):
            assert (a == b).all()
            assert (u == v).all()


def test_a_run_that_shows_no_extra_image_says_why(caplog: pytest.LogCaptureFixture):
    order = DATA.train
    for knobs, said in (
        ({"extra_exposure": 0.001}, "'classifier.extra_exposure' of so few images rounds to none"),
        (
            {"frozen_epochs": 2, "epochs": 2, "extra_until": 0.5},
            "'classifier.extra_weight' is 0, or 'classifier.extra_until' (0.5 of 4",
        ),
        ({"extra_weight": 0.0}, "'classifier.extra_weight' is 0, or"),
    ):
        caplog.clear()
        extra_images(classifier_params(**knobs), DATA, order)
        assert f"no epoch shows an extra image: {said}" in caplog.text
    caplog.clear()
    extra_images(classifier_params(), DATA, order)
    assert "no epoch shows" not in caplog.text


def test_all_images_come_before_one_comes_again():
    """Also across epochs."""
    rows = np.arange(100, 107)
    extra = Extra({0: rows, 3: np.array([5])}, {0: 4, 3: 2})
    epochs = [extra.of_epoch(1, epoch) for epoch in range(7)]
    assert [len(epoch) for epoch in epochs] == [6] * 7
    firsts = np.concatenate([epoch[epoch >= 100] for epoch in epochs])
    for turn in range(4):
        assert sorted(firsts[7 * turn :][:7]) == rows.tolist()
    assert firsts[:7].tolist() != firsts[7:14].tolist()
    assert [(epoch == 5).sum() for epoch in epochs] == [2] * 7
    assert (extra.of_epoch(1, 3) == epochs[3]).all()
    assert Extra({}, {}).of_epoch(0, 0).tolist() == []


def test_images_count_that_an_epoch_shows():
    """Not those of epochs at weight 0, and an image with two findings once."""
    extra = Extra({0: np.arange(100, 107), 3: np.array([5, 100])}, {0: 4, 3: 1})
    params = classifier_params(frozen_epochs=1, epochs=3, extra_weight=1.0, extra_until=1.0)
    shown = [set(extra.of_epoch(params.seed, epoch).tolist()) for epoch in range(4)]
    assert extra.shown(params, range(4)) == len(shown[1] | shown[2] | shown[3])
    assert extra.shown(params, range(2)) == len(shown[1])
    assert extra.shown(params, range(1)) == 0
    assert extra.shown(replace(params, extra_weight=0.0), range(4)) == 0
    assert Extra({0: np.array([5])}, {0: 0}).shown(params, range(4)) == 0


def test_duplicates_need_a_real_image():
    carriers = DATA.train[DATA.targets[DATA.train, RARE] == 1]
    without = TrainingData(**{**vars(DATA), "train": np.setdiff1d(DATA.train, carriers)})
    with pytest.raises(InputError, match="is duplicates, but no real training image shows 'rare'; set it to"):
        extra_images(classifier_params(extra_source="duplicates"), without, without.train)


def test_duplicates_of_no_accepted_image_are_none_and_a_line_says_so(caplog: pytest.LogCaptureFixture):
    nothing = {"synthetic": DATA.synthetic[:0], "synthetic_target": DATA.synthetic_target[:0]}
    without = TrainingData(**{**vars(DATA), **nothing})
    assert not extra_images(classifier_params(extra_source="duplicates"), without, DATA.train).rows
    assert "this run is on real images alone" in caplog.text


def test_a_duplicate_weighs_as_an_extra_image_and_its_original_as_a_real_one():
    rows, weights = with_extra(np.arange(50), np.array([7, 7, 9]), 0.5, seed=0, epoch=0)
    assert len(rows) == 53
    assert sorted(rows[weights == 0.5]) == [7, 7, 9]
    assert sorted(rows[weights == 1.0]) == list(range(50))


def test_weights_by_epoch():
    params = classifier_params(frozen_epochs=2, epochs=6, extra_weight=0.5, extra_until=0.5)
    assert [extra_weight(params, epoch) for epoch in range(8)] == [0, 0, 0.5, 0.5, 0, 0, 0, 0]
    assert extra_weight(baseline_params(), 0) == 0


def test_the_weight_scales_the_loss_of_an_image():
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(4, 3, generator=generator), torch.ones(4, 3)
    loss = BinaryCrossEntropy(WHOLE.counts())

    def only_first(weight: float) -> float:
        return float(loss(logits, targets, torch.tensor([weight, 0.0, 0.0, 0.0])))

    assert only_first(0.5) == pytest.approx(0.5 * only_first(1.0))
    runs = [
        train(classifier_params(frozen_epochs=0, epochs=1, extra_weight=w), DATA, CPU, cooccurrence=COOCCURRENCE)
        for w in (0.01, 1.0)
    ]
    assert runs[0].history["loss"][0] < runs[1].history["loss"][0]


def test_counts_are_those_of_real_images():
    assert DATA.counts().positives.sum() == int((WHOLE.targets[DATA.train] == 1).sum())


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_with_a_given_number_of_steps_extra_images_still_come_on_top(factor: float, monkeypatch: pytest.MonkeyPatch):
    """The real images shown are those of a run without extra images, and the share is that asked for."""
    shown: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    usual = len(epochs_of(classifier_params(extra_source="none"), DATA, monkeypatch)[0][0])
    for source in ("none", "synthetic"):
        params = classifier_params(extra_source=source, extra_exposure=0.5, extra_until=1.0, frozen_epochs=0, epochs=1)
        with monkeypatch.context() as patch:
            patch.setattr(trainer, "steps_of_epoch", lambda *_: round(factor * usual))
            rows = epochs_of(params, DATA, patch)[0][0].ravel()
        real = np.isin(rows, DATA.train)
        shown[source] = rows[real], rows[~real]
    alone, beside = (np.bincount(shown[source][0], minlength=len(DATA.targets)) for source in ("none", "synthetic"))
    batch = classifier_params().batch_size
    assert np.abs(alone - beside).sum() < 2 * batch
    for target in TARGETS.tolist():
        real = (DATA.targets[shown["synthetic"][0], target] == 1).sum()
        extra = (DATA.synthetic_target[np.searchsorted(DATA.synthetic, shown["synthetic"][1])] == target).sum()
        assert abs(extra - real) <= batch
