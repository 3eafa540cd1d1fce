"""Repeat factors by counting, classes drawn alike, orders by seed."""

import numpy as np
import pytest

from tests.classifier_cases import baseline_params
from trcgl.classifier.training.sampling import (
    class_aware_order,
    epoch_order,
    sampling_factors,
    steps_of_epoch,
)
from trcgl.numerics.repeat_factors import repeat_factors

TARGETS = np.zeros((100, 3))
TARGETS[:40, 0] = 1
TARGETS[39:43, 1] = 1
TARGETS[99, 2] = 1
TARGETS[50:, 1] = np.nan


def test_factor_is_that_of_the_rarest_finding():
    factors = repeat_factors(TARGETS == 1, threshold=0.16, maximum=10)
    assert factors[:39] == pytest.approx(1)
    assert factors[39:43] == pytest.approx(2)  # sqrt(0.16 / 0.04), of 100 images
    assert factors[43:99] == pytest.approx(1)
    assert factors[99] == pytest.approx(4)  # sqrt(0.16 / 0.01)


def test_cap_and_off():
    assert repeat_factors(TARGETS == 1, threshold=0.16, maximum=3)[99] == 3
    assert (repeat_factors(TARGETS == 1, threshold=0.0, maximum=3) == 1).all()


def test_order_depends_on_seed_and_epoch_alone():
    rows, factors = np.arange(100), repeat_factors(TARGETS == 1, 0.16, 10)
    assert (epoch_order(rows, factors, 1, 0) == epoch_order(rows, factors, 1, 0)).all()
    assert sorted(epoch_order(rows, np.ones(100), 1, 0)) == rows.tolist()
    assert epoch_order(rows, factors, 1, 0).tolist() != epoch_order(rows, factors, 1, 1).tolist()


def test_fractions_are_kept_on_average():
    counts = sum(np.bincount(epoch_order(np.arange(2), np.array([1.25, 2.5]), 0, e), minlength=2) for e in range(2000))
    assert counts / 2000 == pytest.approx([1.25, 2.5], abs=0.04)


def test_every_epoch_is_as_long_but_for_one_row():
    """Repetition is random, the number of optimiser steps is not."""
    factors = np.random.default_rng(0).uniform(1, 3, 500)
    orders = [epoch_order(np.arange(500), factors, 0, epoch) for epoch in range(50)]
    assert {len(order) - int(factors.sum()) for order in orders} <= {0, 1}
    for order in orders:
        assert np.isin(np.bincount(order, minlength=500) - np.floor(factors), [0, 1]).all()
    assert steps_of_epoch(factors, 32) == int(factors.sum()) // 32
    assert steps_of_epoch(np.ones(3), 32) == 1


def test_classes_are_drawn_alike_and_their_images_in_turn():
    rows, count = np.arange(100) + 1000, 8000
    order = class_aware_order(rows, TARGETS, count, 0, 0) - 1000
    times = np.bincount(order, minlength=100)
    only_first, both, second, none, third = times[:39], times[39], times[40:43], times[43:99], times[99]
    # A quarter of the draws each: three findings and "without any"; standard deviation 39
    assert third == pytest.approx(2000, abs=160)
    assert none.sum() == pytest.approx(2000, abs=160)
    assert only_first.sum() == pytest.approx(2000 * 39 / 40, abs=160)
    assert second.sum() == pytest.approx(2000 * 3 / 4, abs=160)
    assert both == pytest.approx(2000 / 40 + 2000 / 4, abs=45)
    for alike in (only_first, second, none):
        assert alike.max() - alike.min() <= 1


def test_class_aware_order_depends_on_seed_and_epoch_alone():
    rows = np.arange(100)
    first = class_aware_order(rows, TARGETS, 50, 1, 0)
    assert (first == class_aware_order(rows, TARGETS, 50, 1, 0)).all()
    assert (first != class_aware_order(rows, TARGETS, 50, 1, 1)).any()
    assert (first != class_aware_order(rows, TARGETS, 50, 2, 0)).any()


def test_a_class_without_images_is_never_drawn():
    targets = np.array([[1.0, 0.0], [1.0, np.nan]])
    assert np.bincount(class_aware_order(np.arange(2), targets, 10, 0, 0)).tolist() == [5, 5]


def test_an_image_of_which_nothing_is_known_is_no_normal_one():
    targets = np.array([[1.0, 0.0], [np.nan, np.nan], [np.nan, 0.0]])
    times = np.bincount(class_aware_order(np.arange(3), targets, 1000, 0, 0), minlength=3)
    assert times[1] == 0
    assert times[0] == pytest.approx(500, abs=80)


def test_the_length_of_an_epoch():
    assert (sampling_factors(baseline_params(sampler="class_aware"), TARGETS) == 1).all()
    repeated = sampling_factors(baseline_params(repeat_threshold=0.16, repeat_max=3.0), TARGETS)
    assert (repeated == repeat_factors(TARGETS == 1, 0.16, 3.0)).all()
