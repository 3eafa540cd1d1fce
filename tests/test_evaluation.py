"""Metrics and intervals against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from trcgl import metrics
from trcgl.evaluation import bootstrap
from trcgl.evaluation.resampled import resample


def scored(n: int = 300, *, ties: bool = False, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.2).astype(float)
    scores = np.clip(0.3 * labels + rng.random(n) * 0.7, 0, 1)
    return labels, np.round(scores, 1) if ties else scores


@pytest.mark.parametrize("ties", [False, True])
def test_ap_auc_and_f1_equal_scikit_learn(ties: bool):
    labels, scores = scored(ties=ties)
    assert metrics.average_precision(labels, scores) == average_precision_score(labels, scores)
    assert metrics.area_under_roc(labels, scores) == roc_auc_score(labels, scores)
    assert metrics.f1_at(labels, scores, 0.5) == f1_score(labels, scores >= 0.5)


def test_unknown_labels_are_left_out():
    labels, scores = scored()
    known = np.ones(len(labels), bool)
    known[::7] = False
    masked = np.where(known, labels, np.nan)
    assert metrics.average_precision(masked, scores) == average_precision_score(labels[known], scores[known])
    assert metrics.area_under_roc(masked, scores) == roc_auc_score(labels[known], scores[known])


@pytest.mark.parametrize("label", [0.0, 1.0, np.nan])
def test_a_finding_with_one_label_has_no_value(label: float):
    labels, scores = np.full(5, label), np.linspace(0, 1, 5)
    assert np.isnan(metrics.average_precision(labels, scores))
    assert np.isnan(metrics.area_under_roc(labels, scores))
    assert np.isnan(metrics.f1_at(labels, scores, 0.5))


def test_calibration_error_of_known_cases():
    labels = np.array([1.0, 0.0, 0.0, 0.0])
    assert metrics.expected_calibration_error(labels, np.full(4, 0.25), 0.25, 10) == pytest.approx(0)
    assert metrics.expected_calibration_error(labels, np.full(4, 0.75), 0.25, 10) == pytest.approx(0.5)
    # Weighted to half positives, a quarter is too low by a quarter
    assert metrics.expected_calibration_error(labels, np.full(4, 0.25), 0.5, 10) == pytest.approx(0.25)
    assert metrics.brier_score(labels, np.full(4, 0.25), 0.25) == pytest.approx(0.25 * 0.75)


def test_enriching_the_test_set_does_not_change_the_weighted_calibration():
    """Positives repeated ten times, weighted back to the natural share: the same figure."""
    labels, scores = scored(2000)
    enriched = np.concatenate([np.arange(len(labels)), np.repeat(np.flatnonzero(labels), 9)])
    natural = labels.mean()
    assert metrics.expected_calibration_error(labels[enriched], scores[enriched], natural, 15) == pytest.approx(
        metrics.expected_calibration_error(labels, scores, natural, 15)
    )


def resampled_ap(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AP of one finding under each weighting."""
    return resample(labels[:, None], scores[:, None], weights).ap[0]


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_ap_equals_scikit_learn(ties: bool):
    labels, scores = scored(200, ties=ties)
    weights = np.random.default_rng(1).integers(0, 4, (20, 200))
    expected = [average_precision_score(labels, scores, sample_weight=w) for w in weights]
    np.testing.assert_allclose(resampled_ap(labels, scores, weights), expected, rtol=1e-12)


def test_a_resample_without_positives_is_undefined():
    labels, scores = np.array([1.0, 0.0, 0.0]), np.array([0.9, 0.2, 0.1])
    weights = np.array([[0, 1, 2], [1, 1, 1], [3, 0, 0]])
    assert np.isnan(resampled_ap(labels, scores, weights)).tolist() == [True, False, True]


def test_patients_are_resampled_whole():
    patients = np.array(["a", "b", "a", "c", "b"])
    weights = bootstrap.patient_weights(patients, 200, seed=3)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()
    np.testing.assert_array_equal(weights, bootstrap.patient_weights(patients, 200, seed=3))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """AP of a large set stands for the truth; 95 % intervals of small draws from it should mostly contain it."""
    labels, scores = scored(20000)
    truth = average_precision_score(labels, scores)
    covered = 0
    for draw in range(60):
        part = np.random.default_rng(draw).integers(0, len(labels), 400)
        weights = bootstrap.patient_weights(np.arange(400), 200, seed=draw)
        samples = resampled_ap(labels[part], scores[part], np.vstack([np.ones((1, 400), np.int32), weights]))
        interval = bootstrap.bootstrap_interval(samples)
        covered += interval.low <= truth <= interval.high
    assert 50 <= covered <= 60


def test_the_interval_of_a_mean_over_rare_findings_covers_the_truth():
    """Resamples of few positives have a higher AP than the images themselves: plain percentiles cover 0.7."""
    generator = np.random.default_rng(0)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        labels = (generator.random((600, 30)) < 0.012).astype(np.float32)
        return labels, (generator.normal(size=labels.shape) + 1.5 * labels).astype(np.float32)

    def means(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return bootstrap.mean_of_defined(resample(labels, scores, weights).ap)

    truth = float(np.mean([means(*draw(), np.ones((1, 600), np.int32)) for _ in range(200)]))
    covered, plain = 0, 0
    for _ in range(50):
        values = means(*draw(), bootstrap.image_weights(np.arange(600), 120))
        interval = bootstrap.bootstrap_interval(values)
        covered += interval.low <= truth <= interval.high
        low, high = np.quantile(values[1:], (0.025, 0.975))
        plain += low <= truth <= high
    assert covered >= 45
    assert plain < 42


def test_an_interval_contains_its_value_and_stays_within_its_bounds():
    skewed = np.array([0.5, *[0.4] * 98, 1.0, 1.0])
    interval = bootstrap.bootstrap_interval(skewed)
    assert interval.low <= 0.5 <= interval.high
    best = bootstrap.bootstrap_interval(np.array([1.0, 0.2, 0.4, 0.9]))
    assert (best.high, best.low < 1) == (1.0, True)
    assert bootstrap.bootstrap_interval(np.array([-0.3, -0.5, -0.1]), bootstrap.DIFFERENCES).low < -0.3
    for undefined in ([np.nan, 0.1, 0.2], [0.1, np.nan, np.nan]):
        assert np.isnan(bootstrap.bootstrap_interval(np.array(undefined)).low)


def test_mean_ap_leaves_out_findings_without_positives():
    labels = np.stack([scored()[0], np.zeros(300)], axis=1)
    scores = np.stack([scored()[1], scored(seed=1)[1]], axis=1)
    weights = np.ones((1, 300))
    got = bootstrap.mean_of_defined(resample(labels, scores, weights).ap)
    assert got[0] == pytest.approx(average_precision_score(labels[:, 0], scores[:, 0]))
    assert np.isnan(bootstrap.mean_of_defined(resample(labels[:, 1:], scores[:, 1:], weights).ap)).all()
    assert np.isnan(bootstrap.mean_of_defined(np.empty((0, 1)))).all()


def test_ap_weighted_back_to_a_prevalence_is_that_of_a_set_with_it():
    """Ten times as many negatives of the same kind: the positives' share falls, and so does AP."""
    labels, scores = scored()
    common, rare = labels == 1, labels == 0
    more = np.concatenate([labels[common], np.repeat(labels[rare], 10)])
    scores_of_more = np.concatenate([scores[common], np.repeat(scores[rare], 10)])
    expected = average_precision_score(more, scores_of_more)
    assert metrics.average_precision(labels, scores, more.mean()) == pytest.approx(expected)
    assert expected < metrics.average_precision(labels, scores)
    table = metrics.per_class_table(labels[:, None], scores[:, None], ["a"], ["tail"], [0.5], [more.mean()])
    assert table["AP_prevalence"].tolist() == pytest.approx([expected])
    assert metrics.tail_map_at_prevalence(table) == pytest.approx(expected)


def test_map_leaves_out_what_has_no_value():
    labels = np.array([[1, 0, 1], [0, 0, 1], [np.nan, 0, 1], [1, 0, 1]])
    scores = np.array([[0.9, 0.1, 0.1], [0.8, 0.1, 0.1], [1.0, 0.1, 0.1], [0.7, 0.1, 0.1]])
    assert metrics.mean_average_precision(labels, scores) == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(metrics.mean_average_precision(labels[:, 1:], scores[:, 1:]))


def test_summary_counts_groups():
    labels = np.stack([scored(seed=s)[0] for s in range(3)] + [np.zeros(300)], axis=1)
    scores = np.stack([scored(seed=s)[1] for s in range(4)], axis=1)
    table = metrics.per_class_table(
        labels, scores, list("abcd"), ["head", "medium", "tail", "tail"], [0.5] * 4, [0.2] * 4
    )  # fmt: skip
    block = metrics.summary(table)
    assert block["tail_mAP"] == average_precision_score(labels[:, 2], scores[:, 2])
    assert block["mAP"] == pytest.approx(
        np.mean([average_precision_score(labels[:, c], scores[:, c]) for c in range(3)])
    )
    assert list(block) == ["mAP", "head_mAP", "medium_mAP", "tail_mAP", "mAUC", "mF1", "ECE"]
