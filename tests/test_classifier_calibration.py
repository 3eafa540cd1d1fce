"""Probabilities made believable: against scikit-learn, on known answers, and where there is little to go by."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from trcgl.classifier.network.scaling import Scaling
from trcgl.classifier.training.calibration import LEAST_SLOPE, PRIOR, fit_scalings
from trcgl.metrics import area_under_roc, average_precision, expected_calibration_error, prevalence_weights


def drawn(images: int, slope: float, offset: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and the probabilities of a model that says z where slope * z + offset is right."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(-1, 2, images)
    labels = draw.random(images) < 1 / (1 + np.exp(-(slope * logits + offset)))
    return labels.astype(np.float64)[:, None], (1 / (1 + np.exp(-logits)))[:, None]


def applied(scaling: Scaling, probabilities: np.ndarray) -> np.ndarray:
    logits = np.log(probabilities / (1 - probabilities))
    return 1 / (1 + np.exp(-(scaling.slope * logits + scaling.offset)))


def test_it_is_a_weighted_logistic_regression_with_a_prior_on_the_slope():
    labels, probabilities = drawn(400, 0.6, -1.0)
    found = fit_scalings(labels, probabilities, prevalence_weights(labels, [0.1]))[0]
    logits = np.log(probabilities / (1 - probabilities))
    # scikit-learn's penalty draws the slope to 0: a slope's distance from 1 is fitted with the logit as a given offset,
    # which it has not; so the loss is compared instead at its own solution without a penalty and at ours
    free = LogisticRegression(C=np.inf, tol=1e-10).fit(logits, labels[:, 0], prevalence_weights(labels, [0.1]))

    def loss(slope: float, offset: float) -> float:
        scaled = slope * logits[:, 0] + offset
        costs = np.logaddexp(0, np.where(labels[:, 0] == 1, -scaled, scaled))
        return float((prevalence_weights(labels, [0.1]) * costs).sum() + PRIOR * (slope - 1) ** 2)

    best = loss(*found)
    assert best <= loss(float(free.coef_[0, 0]), float(free.intercept_[0]))
    for step in (1e-3, -1e-3):
        assert best < loss(found.slope + step, found.offset)
        assert best < loss(found.slope, found.offset + step)
    # With many images the prior is nothing beside them
    labels, probabilities = drawn(200_000, 0.6, -1.0)
    found = fit_scalings(labels, probabilities, np.ones(len(labels)))[0]
    assert found == pytest.approx((0.6, -1.0), abs=0.03)


def test_rankings_stay_and_probabilities_become_right():
    labels, probabilities = drawn(3000, 0.5, -2.0)
    scaled = applied(fit_scalings(labels, probabilities, np.ones(3000))[0], probabilities)
    y, before, after = labels[:, 0], probabilities[:, 0], scaled[:, 0]
    assert average_precision(y, after) == average_precision(y, before)
    assert area_under_roc(y, after) == area_under_roc(y, before)
    assert expected_calibration_error(y, before) > 0.2
    assert expected_calibration_error(y, after) < 0.03


def test_a_split_with_more_positives_than_the_training_set_does_not_raise_them():
    labels, probabilities = drawn(20_000, 1.0, 0.0)
    y = labels[:, 0]
    kept = np.concatenate([np.flatnonzero(y == 1), np.flatnonzero(y == 0)[:500]])
    weights = prevalence_weights(labels[kept], [float(y.mean())])
    found = fit_scalings(labels[kept], probabilities[kept], weights)[0]
    assert found == pytest.approx((1.0, 0.0), abs=0.1)


def test_the_order_is_never_turned_around():
    labels, probabilities = drawn(2000, -1.0, 0.0)
    assert fit_scalings(labels, probabilities, np.ones(2000))[0].slope == LEAST_SLOPE


def test_a_finding_that_tells_nothing_is_left_alone():
    labels = np.array([[1.0, 0.0, np.nan, 1.0], [1.0, 0.0, np.nan, np.nan], [1.0, 0.0, np.nan, 0.0]])
    probabilities = np.full((3, 4), 0.5)
    probabilities[0] = (1.0, 0.0, 0.3, 1.0)
    found = fit_scalings(labels, probabilities, prevalence_weights(labels, [0.5, 0.1, np.nan, 0.4]))
    assert found[:3] == [Scaling()] * 3
    assert np.isfinite(found[3]).all()
