"""The intervals of the studies' tables: what they cover, and what they are where only one kind of chance is left."""

import numpy as np
import pytest
from scipy import stats

from comparison.intervals import t_interval

PATIENTS = 100


def test_seeds_alone_give_students_interval():
    values = np.array([0.02, 0.05, 0.03, 0.09])
    still = np.repeat(values[:, None], 50, axis=1)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert t_interval(values, still, PATIENTS) == pytest.approx((expected.low, expected.high))


def test_patients_alone_give_the_interval_of_their_mean():
    generator = np.random.default_rng(0)
    patients = generator.normal(0.1, 1, PATIENTS)
    means = patients[generator.integers(PATIENTS, size=(20_000, PATIENTS))].mean(axis=1)
    expected = stats.ttest_1samp(patients, 0).confidence_interval(0.95)
    for seeds in (1, 4):
        low, high = t_interval(np.full(seeds, patients.mean()), np.tile(means, (seeds, 1)), PATIENTS)
        assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_no_chance_and_no_value():
    assert t_interval(np.full(3, 0.2), np.full((3, 9), 0.2), PATIENTS) == pytest.approx((0.2, 0.2))
    assert np.isnan(t_interval(np.array([0.1, np.nan]), np.full((2, 9), 0.2), PATIENTS)).all()


# Standard deviations, of one patient's value where it is one: between seeds, patients, and both together
CHANCES = [(0.03, 0.25, 0.35), (0.03, 0.1, 0.2), (0.03, 0.5, 0.3), (0.045, 0.2, 0.3)]


@pytest.mark.parametrize("seeds", [3, 5, 20])
def test_intervals_cover_what_they_say(seeds: int):
    """95 % of them hold the true value 0: each chance within the simulation's error, their mean within a hundredth."""
    generator = np.random.default_rng(seeds)
    covered = []
    for between_seeds, between_patients, both in CHANCES:
        hits = 0
        for _ in range(1500):
            values = (
                between_seeds * generator.standard_normal((seeds, 1))
                + between_patients * generator.standard_normal((1, PATIENTS))
                + both * generator.standard_normal((seeds, PATIENTS))
            )
            # As many resamples as tell a variance; normal weights have a bootstrap's mean and variance
            weights = 1 + generator.standard_normal((PATIENTS, 60))
            low, high = t_interval(values.mean(axis=1), values @ (weights / weights.sum(axis=0)), PATIENTS)
            hits += low <= 0 <= high
        covered.append(hits / 1500)
    assert min(covered) > 0.925
    assert max(covered) < 0.975
    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)
