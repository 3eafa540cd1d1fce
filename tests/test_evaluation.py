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
    assert metrics.expected_calibration_error(labels, np.full(4, 0.25)) == pytest.approx(0)
    assert metrics.expected_calibration_error(labels, np.full(4, 0.75)) == pytest.approx(0.5)
    # Weighted to half positives, a quarter is too low by a quarter
    weights = metrics.prevalence_weights(labels[:, None], [0.5])
    assert metrics.expected_calibration_error(labels, np.full(4, 0.25), weights) == pytest.approx(0.25)
    assert metrics.brier_score(labels, np.full(4, 0.25)) == pytest.approx(0.25 * 0.75)


def test_enriching_the_test_set_does_not_change_the_weighted_calibration():
    """Positives repeated ten times, weighted back to the natural share: the same figure."""
    labels, scores = scored(2000)
    enriched = np.concatenate([np.arange(len(labels)), np.repeat(np.flatnonzero(labels), 9)])
    weights = metrics.prevalence_weights(labels[enriched, None], [labels.mean()])
    assert metrics.expected_calibration_error(labels[enriched], scores[enriched], weights) == pytest.approx(
        metrics.expected_calibration_error(labels, scores)
    )


# Weights of a prevalence


def findings(images: int, seed: int = 0) -> np.ndarray:
    """Two rare findings, of which one image in three with the first has the second, too, and a common one."""
    draw = np.random.default_rng(seed)
    first, common = draw.random(images) < 0.01, draw.random(images) < 0.3
    second = np.where(first, draw.random(images) < 0.3, draw.random(images) < 0.01)
    return np.stack([first, second, common], axis=1).astype(float)


def enriched(labels: np.ndarray, more: int = 10) -> np.ndarray:
    """Rows of all images, then those of each rare finding several times more."""
    return np.concatenate([np.arange(len(labels)), *(np.repeat(np.flatnonzero(y), more) for y in labels[:, :2].T)])


def test_all_findings_get_their_prevalence_with_the_weights_of_empirical_likelihood():
    """One divided by a weight is a sum of one number per finding; only one set of weights with these shares is so."""
    labels = findings(5000)[enriched(findings(5000))]
    prevalence = [0.01, 0.013, 0.3]
    weights = metrics.prevalence_weights(labels, prevalence)
    assert (weights > 0).all()
    assert weights.mean() == pytest.approx(1)
    assert np.average(labels, axis=0, weights=weights) == pytest.approx(prevalence, rel=1e-6)
    numbers = np.column_stack([labels, np.ones(len(labels))])
    fitted, *_ = np.linalg.lstsq(numbers, 1 / weights)
    assert numbers @ fitted == pytest.approx(1 / weights, rel=1e-9)


def test_an_enriched_set_weighted_back_is_the_set_it_came_from():
    """A model that takes one rare finding for the other: the negatives must be weighted back, too."""
    labels = findings(20_000)
    draw = np.random.default_rng(1)
    scores = np.clip(0.5 * labels[:, 0] + 0.4 * labels[:, 1] + draw.normal(0, 0.1, len(labels)), 0, 1)
    rows = enriched(labels)
    y, p = labels[rows, 0], scores[rows]
    weights = metrics.prevalence_weights(labels[rows], labels.mean(axis=0).tolist())
    natural = average_precision_score(labels[:, 0], scores)
    assert metrics.average_precision(y, p, weights) == pytest.approx(natural, abs=1e-4)
    assert metrics.brier_score(y, p, weights) == pytest.approx(metrics.brier_score(labels[:, 0], scores), abs=1e-5)
    error = metrics.expected_calibration_error(labels[:, 0], scores)
    assert metrics.expected_calibration_error(y, p, weights) == pytest.approx(error, abs=1e-5)
    alone = metrics.prevalence_weights(labels[rows, :1], [labels[:, 0].mean()])
    assert metrics.average_precision(y, p, alone) < natural - 0.1


def test_one_finding_that_cannot_be_weighted_does_not_stop_the_others(caplog: pytest.LogCaptureFixture):
    """One positive of a finding that was in a third of the training images would outweigh all other images."""
    labels = findings(5000)
    labels = np.column_stack([labels, np.arange(len(labels)) == 7])
    weights = metrics.prevalence_weights(labels, [0.003, 0.01, 0.3, 0.33])
    assert np.average(labels, axis=0, weights=weights)[:3] == pytest.approx([0.003, 0.01, 0.3], rel=1e-6)
    assert weights == pytest.approx(metrics.prevalence_weights(labels[:, :3], [0.003, 0.01, 0.3]), abs=0.02)
    assert "5000 images cannot be weighted to the training prevalences of 1 of 4 findings: these keep" in caplog.text


def test_a_missed_prevalence_is_that_of_the_images_with_a_known_label(caplog: pytest.LogCaptureFixture):
    """Two findings of which each known image has exactly one cannot have shares that sum to less than 1."""
    first = (np.arange(20) < 5).astype(float)
    known = np.column_stack([first, 1 - first])
    metrics.prevalence_weights(np.vstack([known, np.full((380, 2), np.nan)]), [0.2, 0.7])
    assert "400 images, weighted to the training prevalences, still miss that of" in caplog.text


def test_at_the_prevalence_of_the_set_all_weights_are_one():
    labels = findings(500)
    assert metrics.prevalence_weights(labels, labels.mean(axis=0).tolist()) == pytest.approx(np.ones(500))


def test_unknown_labels_and_findings_that_cannot_be_weighted_move_nothing():
    labels = np.array([[1, 1, 0, np.nan], [0, 1, 0, np.nan], [np.nan, 1, 0, np.nan], [0, 1, 0, np.nan]], float)
    weights = metrics.prevalence_weights(labels, [0.5, 0.5, 0.5, 0.5])
    assert weights == pytest.approx([1.5, 0.75, 1, 0.75])
    for share in (0.0, 1.0, float("nan")):
        assert metrics.prevalence_weights(labels, [share] * 4).tolist() == [1] * 4


def test_prevalences_that_no_weights_have_give_finite_weights(caplog: pytest.LogCaptureFixture):
    """The second finding is in every image of the first, and is to be rarer."""
    labels = np.array([[1, 1], [0, 1], [0, 0], [0, 0]], float)
    weights = metrics.prevalence_weights(labels, [0.5, 0.2])
    assert "4 images, weighted to the training prevalences, still miss that of 2 of 2 findings" in caplog.text
    assert np.isfinite(weights).all()
    assert (weights > 0).all()
    first, second = np.average(labels, axis=0, weights=weights)
    assert 0.2 < first < second < 0.5


def test_where_one_image_would_count_for_nearly_all_they_count_alike(caplog: pytest.LogCaptureFixture):
    labels = np.eye(3)[np.arange(299) % 3]
    weights = metrics.prevalence_weights(np.vstack([labels, np.zeros(3)]), [0.01, 0.01, 0.01])
    assert weights == pytest.approx(np.ones(300), abs=1e-6)
    assert "300 images cannot be weighted to the training prevalences of 3 of 3 findings: these keep" in caplog.text


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
    weights = metrics.prevalence_weights(labels[:, None], [more.mean()])
    assert metrics.average_precision(labels, scores, weights) == pytest.approx(expected)
    assert expected < metrics.average_precision(labels, scores)
    table = metrics.per_class_table(labels[:, None], scores[:, None], ["a"], ["tail"], [0.5], weights)
    assert table["AP_prevalence"].tolist() == pytest.approx([expected])
    assert metrics.tail_map_at_prevalence(table) == pytest.approx(expected)
    assert [table[name][0] for name in ("F1", "F1_fixed")] == [f1_score(labels, scores >= at) for at in (0.5, 0.2)]


def test_map_leaves_out_what_has_no_value():
    labels = np.array([[1, 0, 1], [0, 0, 1], [np.nan, 0, 1], [1, 0, 1]])
    scores = np.array([[0.9, 0.1, 0.1], [0.8, 0.1, 0.1], [1.0, 0.1, 0.1], [0.7, 0.1, 0.1]])
    assert metrics.mean_average_precision(labels, scores) == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(metrics.mean_average_precision(labels[:, 1:], scores[:, 1:]))


def test_summary_counts_groups():
    labels = np.stack([scored(seed=s)[0] for s in range(3)] + [np.zeros(300)], axis=1)
    scores = np.stack([scored(seed=s)[1] for s in range(4)], axis=1)
    table = metrics.per_class_table(
        labels, scores, list("abcd"), ["head", "medium", "tail", "tail"], [0.5] * 4, np.ones(300)
    )  # fmt: skip
    block = metrics.summary(table)
    assert block["tail_mAP"] == average_precision_score(labels[:, 2], scores[:, 2])
    assert block["mAP"] == pytest.approx(
        np.mean([average_precision_score(labels[:, c], scores[:, c]) for c in range(3)])
    )
    assert list(block) == ["mAP", "head_mAP", "medium_mAP", "tail_mAP", "mAUC", "mF1", "ECE"]
