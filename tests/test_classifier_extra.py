"""Extra images: fair in steps, matched in count and finding, nested, and counted nowhere."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from tests.classifier_cases import CPU, baseline_params, classifier_params, separable, with_synthetic
from trcgl.classifier.training import train as trainer
from trcgl.classifier.training.data import TrainingData
from trcgl.classifier.training.extra import best_in_turn, duplicates_of, extra_rows, extra_weight, with_extra
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

    def recorded(order: np.ndarray, batch_size: int, steps: int) -> list[np.ndarray]:
        batches = fixed_batches(order, batch_size, steps)
        seen.append(np.stack(batches))
        return batches

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "fixed_batches", recorded)
        train(params, data, CPU, cooccurrence=COOCCURRENCE)
    return list(zip(seen[::2], seen[1::2], strict=True))


def test_every_arm_takes_as_many_steps(monkeypatch: pytest.MonkeyPatch):
    arms = [
        baseline_params(epochs=2),
        classifier_params(epochs=2, extra_source="none"),
        classifier_params(epochs=2, extra_source="duplicates"),
        classifier_params(epochs=2),
        classifier_params(epochs=2, extra_ratio=0.1),
        classifier_params(epochs=2, extra_until=0.5),
    ]
    shapes = [[rows.shape for rows, _ in epochs_of(params, DATA, monkeypatch)] for params in arms]
    assert len({tuple(shape) for shape in shapes}) == 1
    assert len(set(shapes[0])) == 1


def test_synthetic_images_train_while_they_weigh_something(monkeypatch: pytest.MonkeyPatch):
    """One frozen epoch without, two with, one after `extra_until` without; the baseline never sees one."""
    epochs = epochs_of(classifier_params(extra_weight=0.25, extra_until=0.75), DATA, monkeypatch)
    assert [bool(np.isin(rows, DATA.synthetic).any()) for rows, _ in epochs] == [False, True, True, False]
    for rows, weights in epochs:
        assert (weights == np.where(np.isin(rows, DATA.synthetic), 0.25, 1.0)).all()
        assert np.bincount(rows.ravel(), minlength=160)[DATA.synthetic].max() <= 1
        assert not np.isin(rows, DATA.val).any()
    for params in (baseline_params(), classifier_params(extra_source="none")):
        assert not any(np.isin(rows, DATA.synthetic).any() for rows, _ in epochs_of(params, DATA, monkeypatch))


def test_without_extra_images_nothing_differs(monkeypatch: pytest.MonkeyPatch):
    """Ratio 0, weight 0, share 0 and source none are the same run."""
    runs = [
        epochs_of(classifier_params(**knob), DATA, monkeypatch)
        for knob in ({"extra_source": "none"}, {"extra_ratio": 0.0}, {"extra_weight": 0.0}, {"extra_until": 0.0})
    ]
    for other in runs[1:]:
        for (a, u), (b, v) in zip(runs[0], other, strict=True):
            assert (a == b).all()
            assert (u == v).all()


def test_duplicates_match_in_count_and_finding():
    synthetic = extra_rows(classifier_params(extra_ratio=0.3), DATA)
    duplicates = extra_rows(classifier_params(extra_ratio=0.3, extra_source="duplicates"), DATA)
    assert len(synthetic) == len(duplicates) == 24
    assert np.isin(duplicates, DATA.train).all()
    wanted = DATA.synthetic_target[synthetic - DATA.synthetic[0]]
    assert (DATA.targets[duplicates, wanted] == 1).all()


def test_duplicates_are_taken_evenly():
    carriers = DATA.train[DATA.targets[DATA.train, 2] == 1]
    times = np.bincount(duplicates_of(np.full(25, 2), DATA, 0), minlength=160)[carriers]
    assert times.sum() == 25
    assert times.max() - times.min() <= 1
    without = TrainingData(**{**vars(DATA), "train": np.setdiff1d(DATA.train, carriers)})
    with pytest.raises(InputError, match="no real training image shows 'rare'"):
        duplicates_of(np.array([2]), without, 0)


def test_a_duplicate_weighs_as_an_extra_image_and_its_original_as_a_real_one():
    rows, weights = with_extra(np.arange(50), np.array([7, 7, 9]), 0.5, seed=0, epoch=0)
    assert len(rows) == 50
    assert weights[~np.isin(rows, [7, 9])].tolist() == [1.0] * (~np.isin(rows, [7, 9])).sum()
    assert (weights == 0.5).sum() <= 3
    assert set(rows[weights == 0.5]) <= {7, 9}
    assert (weights[rows == 7] == 1.0).sum() <= 1


@pytest.mark.parametrize("source", ["synthetic", "duplicates"])
def test_a_smaller_ratio_is_part_of_a_larger_one(source: str):
    taken = [
        extra_rows(classifier_params(extra_source=source, extra_ratio=r), DATA).tolist() for r in (0.1, 0.25, 0.5, 9)
    ]
    assert [len(rows) for rows in taken] == [8, 20, 40, 40]  # of 80 real images; more than were accepted there are not
    for smaller, larger in itertools.pairwise(taken):
        assert larger[: len(smaller)] == smaller


def test_findings_take_turns():
    targets = np.array([4] * 10 + [1] * 3 + [2] * 6)
    ranks = np.random.default_rng(0).permutation(19)
    order = best_in_turn(targets, ranks)
    assert sorted(order) == list(range(19))
    assert [np.bincount(targets[order[:n]], minlength=5)[[1, 2, 4]].tolist() for n in (3, 9, 15)] == [
        [1, 1, 1], [3, 3, 3], [3, 6, 6],
    ]  # fmt: skip
    for target in (1, 2, 4):
        assert (np.diff(ranks[order[targets[order] == target]]) > 0).all()


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


def test_counts_and_factors_are_those_of_real_images():
    assert DATA.counts().positives.sum() == int((WHOLE.targets[DATA.train] == 1).sum())
