"""Subgroups, paired differences, test-time views and ensembles, each against a plain loop."""

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss, precision_recall_curve, roc_auc_score
from torchmetrics.functional.classification import binary_average_precision, binary_calibration_error

from tests.shipped import SHIPPED
from tests.test_classifier_model import CONFIG, IMAGES, build
from trcgl import metrics
from trcgl.artifacts.preparation import Preparation
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.predict import predict
from trcgl.classifier.network.scaling import Scaling
from trcgl.classifier.network.views import View, predict_views
from trcgl.config import EvaluationParams
from trcgl.evaluation.bootstrap import (
    Interval,
    bootstrap_interval,
    image_weights,
    paired_interval,
    patient_weights,
)
from trcgl.evaluation.compare import compare
from trcgl.evaluation.differences import COLUMNS, paired_differences
from trcgl.evaluation.intervals import metric_intervals
from trcgl.evaluation.model_card import model_card
from trcgl.evaluation.pictures import attainable, enough_patients, precision_recall_by_group
from trcgl.evaluation.reliability import reliability_curve, reliability_diagram
from trcgl.evaluation.resampled import resample, resample_models
from trcgl.evaluation.scored import Scored
from trcgl.evaluation.subgroups import subgroup_table
from trcgl.evaluation.views import views
from trcgl.inference.ensemble import average_weights, ensemble_predict, ensemble_thresholds
from trcgl.runtime.errors import InputError

GROUPS = np.array(["head", "medium", "tail", "tail"])
CLASSES = pd.DataFrame({"name": list("wxyz"), "group": GROUPS, "prevalence": [0.3, 0.2, 0.1, 0.1]})


def evaluation_params(**changes: Any) -> EvaluationParams:
    values: dict[str, Any] = {
        "bootstrap_samples": 50,
        "overlays_per_finding": 0,
        "test_time_shift": 0.0,
        "test_time_scale": 0.0,
        "test_time_flip": False,
    }
    return dataclasses.replace(SHIPPED.evaluation, **(values | changes))


def scored(count: int = 120) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Labels [N, 4] with unknowns, scores with ties of two models, patients; no positive of the last finding."""
    generator = np.random.default_rng(0)
    labels = (generator.random((count, 4)) < [0.3, 0.2, 0.15, 0.0]).astype(float)
    labels[::9, 1] = np.nan
    scores = {
        name: np.round(np.clip(strength * np.nan_to_num(labels) + generator.random(labels.shape) * 0.7, 0, 1), 2)
        for name, strength in (("a", 0.1), ("b", 0.3))
    }
    return labels, scores, np.array([f"p{i // 2}" for i in range(count)])


def scored_models(scores: dict[str, np.ndarray] | None = None) -> Scored:
    """What `scored` has, in one object."""
    labels, both, patients = scored()
    thresholds = {"a": [0.5] * 4, "b": [0.4] * 4}
    return Scored(labels, scores or both, thresholds, patients, CLASSES, np.ones(len(labels)))


def means(of: Scored, resamples: int, seed: int) -> dict[str, dict[str, np.ndarray]]:
    weights = image_weights(of.patients, resamples, seed)
    return {model: found.means(GROUPS) for model, found in resample_models(of, weights).items()}


def plain_mean(score: Any, labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """Mean over findings of a scikit-learn score, images repeated as often as they weigh."""
    values = []
    for y, p in zip(labels.T, scores.T, strict=True):
        y, p = np.repeat(y, weights), np.repeat(p, weights)
        known = ~np.isnan(y)
        if 0 < y[known].sum() < known.sum():
            values.append(score(y[known], p[known]))
    return float(np.mean(values))


# Metrics against libraries


@pytest.mark.parametrize("prevalence", [0.02, 0.2, 0.6])
def test_brier_equals_scikit_learn(prevalence: float):
    labels, scores, _ = scored()
    y, p = labels[:, 0], scores["a"][:, 0]
    share = y.mean()
    weights = np.where(y == 1, prevalence / share, (1 - prevalence) / (1 - share))
    assert metrics.brier_score(y, p, metrics.prevalence_weights(y[:, None], [prevalence])) == pytest.approx(
        brier_score_loss(y, p, sample_weight=weights)
    )


def test_calibration_and_precision_equal_torchmetrics():
    labels, _, _ = scored(400)
    y, p = labels[:, 0], np.random.default_rng(1).random(400)
    truth, guess = torch.from_numpy(y).long(), torch.from_numpy(p)
    expected = float(binary_calibration_error(guess, truth, n_bins=15, norm="l1"))
    assert metrics.expected_calibration_error(y, p) == pytest.approx(expected, abs=1e-6)
    assert metrics.average_precision(y, p) == pytest.approx(float(binary_average_precision(guess, truth)), abs=1e-6)


@pytest.mark.parametrize("decimals", [1, 2, 7])
def test_ap_and_auc_of_every_resample_equal_scikit_learn(decimals: int):
    """Few and many ties, unknown labels, resamples that leave findings without positives or negatives."""
    labels, scores, patients = scored(90)
    scores = np.round(scores["a"] + np.random.default_rng(5).random(labels.shape) * 0.2, decimals)
    labels[:3, 3] = 1
    weights = np.vstack([image_weights(patients, 60), np.random.default_rng(1).integers(0, 2, (60, 90)), labels[:, 3]])
    found = resample(labels, scores, weights)
    for got, score in ((found.ap, average_precision_score), (found.auc, roc_auc_score)):
        expected = np.full(got.shape, np.nan)
        for c, w in np.ndindex(got.shape):
            used = ~np.isnan(labels[:, c]) & (weights[w] > 0)
            if len(set(labels[used, c])) == 2:
                expected[c, w] = score(labels[used, c], scores[used, c], sample_weight=weights[w, used])
        assert np.isnan(expected).any()
        np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("finding", [0, 1])
def test_the_reliability_curve_equals_scikit_learn(finding: int):
    """The last finding has no positive and adds nothing."""
    labels, _, _ = scored(400)
    y, p = labels[:, [finding, 3]], np.random.default_rng(2).random((400, 2)) ** 2
    known = ~np.isnan(y[:, 0])
    curve = reliability_curve(y, p, np.ones(400), 12)
    assert curve is not None
    observed, predicted = calibration_curve(y[known, 0], p[known, 0], n_bins=12)
    np.testing.assert_allclose(curve.observed[curve.share > 0], observed)
    np.testing.assert_allclose(curve.predicted[curve.share > 0], predicted)
    assert curve.share.sum() == pytest.approx(1)
    assert reliability_curve(y[:, 1:], p[:, 1:], np.ones(400), 12) is None


def test_the_gaps_of_the_reliability_curve_are_the_calibration_error():
    labels, scores, _ = scored(400)
    weights = metrics.prevalence_weights(labels[:, :1], [0.07])
    curve = reliability_curve(labels[:, :1], scores["b"][:, :1], weights, 15)
    assert curve is not None
    gaps = np.nansum(curve.share * np.abs(curve.predicted - curve.observed))
    expected = metrics.expected_calibration_error(labels[:, 0], scores["b"][:, 0], weights, 15)
    assert gaps == pytest.approx(expected)


# Intervals and paired differences


def test_intervals_are_quantiles_of_the_resamples_less_their_bias():
    resampled = means(scored_models(), 60, 4)
    table = metric_intervals(resampled)
    row = table[(table["model"] == "b") & (table["metric"] == "mAP")].to_dict("records")[0]
    samples = resampled["b"]["mAP"]
    bias = samples[1:].mean() - samples[0]
    expected = [samples[0], *np.quantile(samples[1:], [0.025, 0.975]) - bias]
    assert [row["value"], row["low"], row["high"]] == pytest.approx(expected)
    assert len(table) == 2 * len(resampled["a"])


def test_resamples_that_all_say_the_same_give_no_interval():
    """Two perfect models, or one patient's two images with one hit: neither is known exactly."""
    for values in ([1.0, 1.0, 1.0], [1.0, np.nan, 1.0], [0.0, 0.0], [0.37, 0.37, 0.37 + 1e-16, np.nan]):
        assert np.isnan(dataclasses.astuple(bootstrap_interval(np.array(values)))).all()
    assert bootstrap_interval(np.array([1.0, 0.9, 1.0])).low < 1.0


def test_the_difference_of_two_models_without_an_interval_has_none():
    """Both rank the few positives first in every resample, which says nothing about other patients."""
    perfect, other = np.array([1.0, 1.0, np.nan, 1.0]), np.array([0.8, 0.7, np.nan, 0.9])
    for pair in ((perfect, perfect), (perfect, other), (other, perfect)):
        assert np.isnan(dataclasses.astuple(paired_interval(*pair))).all()
    assert paired_interval(other, other) == Interval(0.0, 0.0)
    assert paired_interval(other, other[::-1]).low < 0


def test_an_interval_of_ap_needs_five_patients_with_the_finding_and_five_without():
    patients = np.array(["a", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"])
    labels = np.zeros((11, 4))
    labels[:6, 0] = 1  # five patients
    labels[:5, 1] = 1  # four, with five images
    labels[:, 2] = [*[np.nan] * 2, *[1] * 5, *[0] * 4]  # four patients without it
    enough = enough_patients(labels, patients)
    assert enough.tolist() == [True, False, False, False]


@pytest.mark.parametrize(("having", "covered"), [(1, 0.50), (2, 0.67), (8, 0.90)])
def test_the_interval_of_ap_covers_less_where_few_patients_have_the_finding(having: int, covered: float):
    """Beside 1,500 patients without it, whose logits are lower by two standard deviations."""
    draw = np.random.default_rng(having)

    def films(with_it: np.ndarray) -> np.ndarray:
        return norm.cdf(draw.normal(size=len(with_it)) + 2 * with_it)

    patients, y = np.arange(having + 1500), np.r_[np.ones(having), np.zeros(1500)]
    many = (draw.random(400_000) < having / len(y)).astype(float)
    truth, weights, hits = average_precision_score(many, films(many)), image_weights(patients, 200), 0
    for _ in range(200):
        found = bootstrap_interval(resample(y[:, None], films(y)[:, None], weights).ap[0])
        hits += found.low <= truth <= found.high
    assert hits / 200 == pytest.approx(covered, abs=0.1)


def test_figures_show_only_findings_that_can_be_scored_and_name_the_models():
    """No head finding, and a tail finding that is present wherever it is known."""
    labels, scores, _ = scored(400)
    labels = labels[:, [0, 1, 1]]
    labels[labels[:, 2] != 1, 2] = np.nan
    groups = ["medium", "tail", "tail"]
    scores = {model: values[:, [0, 1, 1]] for model, values in scores.items()}
    figure = precision_recall_by_group(labels, scores, groups)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["head (0 findings)", "medium (1 findings)", "tail (1 findings)"]
    for drawn in (figure, reliability_diagram(labels, scores, groups, np.ones(400))):
        legends = [axes.get_legend() for axes in drawn.axes]
        assert [[text.get_text() for text in legend.get_texts()] for legend in legends if legend] == [list(scores)]
        assert legends[1]
        plt.close(drawn)


def test_differences_equal_a_plain_loop_over_the_same_resamples():
    labels, scores, patients = scored()
    table = paired_differences(means(scored_models(), 60, 4))
    assert tuple(table.columns) == COLUMNS
    rows = table.set_index("metric").to_dict("index")
    weights = patient_weights(patients, 60, 4)
    once = np.ones(len(labels), dtype=int)
    for metric, score, columns in (
        ("mAP", average_precision_score, slice(None)),
        ("tail_mAP", average_precision_score, slice(2, 4)),
        ("mAUC", roc_auc_score, slice(None)),
    ):
        a, b = (
            [plain_mean(score, labels[:, columns], scores[name][:, columns], w) for w in [once, *weights]]
            for name in "ab"
        )
        row = rows[metric]
        assert row["model"] == "b"
        assert row["reference"] == "a"
        assert [row["value"], row["reference_value"]] == pytest.approx([b[0], a[0]])
        assert row["difference"] == pytest.approx(b[0] - a[0])
        gains = np.array(b[1:]) - a[1:]
        low, high = np.quantile(gains, (0.025, 0.975)) - gains.mean() + b[0] - a[0]
        assert [row["low"], row["high"]] == pytest.approx([low, high])


def test_every_pair_is_compared_once_and_a_model_does_not_differ_from_itself():
    _, scores, _ = scored()
    three = {"a": scores["a"], "again": scores["a"], "b": scores["b"]}
    table = paired_differences(means(scored_models(three), 20, 0))
    pairs = table[["model", "reference"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [["again", "a"], ["b", "a"], ["b", "again"]]
    same = table[table["model"] == "again"]
    assert (same[["difference", "low", "high"]].to_numpy() == 0).all()


# Subgroups


def by_part(about: pd.DataFrame) -> pd.DataFrame:
    return subgroup_table(scored_models(), about, evaluation_params())


def test_a_subgroup_is_scored_as_if_it_were_alone():
    labels, scores, patients = scored()
    sex = np.array(["F", "M", "", "M"] * 30)
    table = by_part(pd.DataFrame({"projection": ["PA"] * 60 + ["AP"] * 60, "sex": sex}))
    assert table["value"].tolist() == ["AP", "PA", "F", "M", "unknown"] * 2
    assert table["images"].tolist() == [60, 60, 30, 60, 30] * 2
    men = table[(table["model"] == "b") & (table["value"] == "M")].iloc[0]
    part, once = sex == "M", np.ones(60, dtype=int)
    assert men["mAP"] == pytest.approx(plain_mean(average_precision_score, labels[part], scores["b"][part], once))
    assert men["mAUC"] == pytest.approx(plain_mean(roc_auc_score, labels[part], scores["b"][part], once))
    assert men["scored_classes"] == 3
    assert men["patients"] == len(set(patients[part]))
    assert men["mAP_low"] < men["mAP"] < men["mAP_high"]
    assert not set(patients) & set(table.astype(str).to_numpy().ravel())


def test_a_part_has_the_weights_of_the_whole_set():
    models = scored_models()
    weights = np.random.default_rng(3).random(120) + 0.1
    part = np.arange(120) % 3 == 0
    table = dataclasses.replace(models, weights=weights).part(part).per_class("b").set_index("class")
    known = part & ~np.isnan(models.labels[:, 0])
    expected = average_precision_score(
        models.labels[known, 0], models.scores["b"][known, 0], sample_weight=weights[known]
    )  # fmt: skip
    assert table.loc["w", "AP_prevalence"] == pytest.approx(expected)


def test_ages_are_scored_in_bands():
    labels, scores, _ = scored()
    age = np.array([0, 19, 20, 59, 60, 79, 80, 120, -1, 45] * 12)
    table = by_part(pd.DataFrame({"age": pd.Series(age).where(age >= 0).astype("Int64")})).query("model == 'b'")
    assert table["subgroup"].unique().tolist() == ["age"]
    expected = [("0-19", 0, 20), ("20-39", 20, 40), ("40-59", 40, 60), ("60-79", 60, 80), ("80+", 80, 121)]
    assert table["value"].tolist() == [band for band, _, _ in expected] + ["unknown"]
    for row, (_, first, after) in zip(table.to_dict("records")[:-1], expected, strict=True):
        part = (age >= first) & (age < after)
        assert row["images"] == part.sum()
        once = np.ones(part.sum(), dtype=int)
        assert row["mAP"] == pytest.approx(plain_mean(average_precision_score, labels[part], scores["b"][part], once))


def test_an_unstated_subgroup_has_no_row():
    table = by_part(pd.DataFrame({"projection": [""] * 120, "sex": ["F"] * 120}))
    assert table["subgroup"].unique().tolist() == ["sex"]
    assert by_part(pd.DataFrame(index=range(120))).empty
    assert by_part(pd.DataFrame({"age": pd.Series([pd.NA] * 120, dtype="Int64")})).empty


# Test-time views


def test_the_plain_view_changes_nothing():
    assert views(evaluation_params()) == (View(),)
    model = build()
    assert (predict_views(model, IMAGES, views(evaluation_params())) == predict(model, IMAGES)).all()


def test_views_move_by_whole_pixels_and_scale_about_the_middle():
    shown = views(evaluation_params(test_time_shift=0.07, test_time_scale=0.1, test_time_flip=True))
    assert len(shown) == 14
    assert len(set(shown)) == 14
    right = View(right=0.07)(IMAGES)
    np.testing.assert_array_equal(right[:, :, 2:], IMAGES[:, :, :-2])
    assert not right[:, :, :2].any()
    np.testing.assert_array_equal(View(down=-0.07)(IMAGES)[:, :-2], IMAGES[:, 2:])
    np.testing.assert_array_equal(View(mirrored=True)(IMAGES), IMAGES[:, :, ::-1])
    smooth = np.stack([cv2.GaussianBlur(image, (0, 0), 4) for image in IMAGES])
    larger = View(zoom=1.25)(smooth)
    across = np.arange(32, dtype=np.float32)
    source = (across - 15.5) / 1.25 + 15.5
    for image, found in zip(smooth, larger, strict=True):
        rows = np.stack([np.interp(source, across, row) for row in image])
        expected = np.stack([np.interp(source, across, column) for column in rows.T]).T
        np.testing.assert_allclose(found, expected, atol=1.0)


def test_probabilities_are_averaged_over_views():
    model = build()
    shown = views(evaluation_params(test_time_shift=0.1))
    assert len(shown) == 5
    expected = np.mean([predict(model, view(IMAGES)) for view in shown], axis=0)
    np.testing.assert_allclose(predict_views(model, IMAGES, shown), expected, atol=1e-6)


# Ensembles


def members() -> list[Classifier]:
    models = [build(), build()]
    with torch.no_grad():
        for parameter in models[1].parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(7))
    models[1].thresholds = {"effusion": 0.5, "nodule": 0.1}
    return models


def test_an_ensemble_is_the_mean_of_its_members():
    models = members()
    expected = (predict(models[0], IMAGES) + predict(models[1], IMAGES)) / 2
    np.testing.assert_allclose(ensemble_predict(models, IMAGES, (View(),)), expected, atol=1e-6)
    assert ensemble_thresholds(models) == pytest.approx({"effusion": 0.4, "nodule": 0.2})


def test_the_mean_of_weights_is_a_network():
    models = members()
    before = {key: value.clone() for key, value in models[0].state_dict().items()}
    soup = average_weights(models, ["a", "b"])
    for key, value in soup.state_dict().items():
        first, second = (model.state_dict()[key] for model in models)
        expected = (first + second) / 2 if value.is_floating_point() else first
        torch.testing.assert_close(value, expected)
        assert (models[0].state_dict()[key] == before[key]).all()
    assert soup.thresholds == pytest.approx({"effusion": 0.4, "nodule": 0.2})
    np.testing.assert_array_equal(predict(average_weights([build()] * 2, ["a", "a"]), IMAGES), predict(build(), IMAGES))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ("effusion", "mass")}, "b: knows other findings than a"),
        ({"image_size": 64}, "b: reads images of another size than a"),
        ({"preparation": Preparation(0.0, 100.0, "crop")}, "b: prepares images in another way"),
        ({"backbone_options": {"channels": [8, 8, 8, 16], "output_stride": 8}}, "b: another architecture than a"),
        ({"head_options": {**CONFIG.head_options, "gate_strength": 0.1}}, "b: another architecture than a"),
        ({"pixel_mean": 0.9}, r"b: normalises grey values by mean and deviation \(0\.9, "),
        ({"pixel_std": 0.9}, r", 0\.9\), but a by \("),
    ],
)
def test_models_that_do_not_go_together_are_named(changes: dict[str, Any], message: str):
    other = Classifier(dataclasses.replace(CONFIG, **changes), torch.eye(2))
    with pytest.raises(InputError, match=message):
        average_weights([build(), other], ["a", "b"])


# What a saved classifier says of itself


def test_a_classifier_keeps_how_its_pictures_are_made(tmp_path: Path):
    model = build()
    model.config = dataclasses.replace(
        CONFIG,
        preparation=Preparation(1.0, 99.0, "crop"),
        weights_have_seen=("mimic", "nih"),
        extra_source="synthetic",
        extra_images=12,
        known_places=80,
    )
    model.save(tmp_path / "m")
    assert Classifier.load(tmp_path / "m").config == model.config


@pytest.mark.parametrize("block", [1, 7, 10**6])
def test_a_few_resamples_are_taken_at_a_time(block: int, monkeypatch: pytest.MonkeyPatch):
    labels, scores, patients = scored()
    weights = patient_weights(patients, 30, seed=0)
    whole = resample(labels, scores["a"], weights)
    monkeypatch.setattr("trcgl.evaluation.resampled.BLOCK", block)
    parts = resample(labels, scores["a"], weights)
    np.testing.assert_allclose((parts.ap, parts.auc), (whole.ap, whole.auc), rtol=1e-12)


def test_patients_are_drawn_with_replacement():
    """Images of one patient count alike, and as many patients are drawn as there are."""
    patients = np.array(["a", "b", "a", "c", "d"])
    weights = patient_weights(patients, 500, seed=3)
    assert weights.dtype == np.int32
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3, 4]].sum(axis=1) == 4).all()
    assert weights[:, 1].mean() == pytest.approx(1, abs=0.15)


def test_the_precision_at_a_recall_is_the_best_that_reaches_it():
    labels, scores, _ = scored(400)
    y, p = labels[:, 0], np.round(scores["b"][:, 0], 2)
    precision, recall, _ = precision_recall_curve(y, p)
    grid = np.linspace(0, 1, 101)
    expected = [max(precision[:-1][recall[:-1] >= least]) for least in grid]
    assert attainable(precision, recall, grid) == pytest.approx(expected)
    # Nothing is lost at recall 1
    assert attainable(*precision_recall_curve(y, y)[:2], grid).tolist() == [1.0] * 101


@pytest.mark.parametrize(
    ("source", "count", "said"),
    [
        ("synthetic", 240, "on real images and 240 accepted synthetic ones of rare findings."),
        ("duplicates", 7, "on real images and 7 duplicates of those of rare findings."),
        ("synthetic", 0, "on real images alone."),
        ("none", 0, "on real images alone."),
    ],
)
def test_the_card_says_what_the_model_was_trained_on(source: str, count: int, said: str):
    config = dataclasses.replace(CONFIG, extra_source=source, extra_images=count)
    numbers = dict.fromkeys(("mAP", "head_mAP", "medium_mAP", "tail_mAP", "mAUC", "mF1", "ECE"), 0.5)
    gain = dict.fromkeys(("mAP", "tail_mAP", "tail_mAP_low", "tail_mAP_high"), 0.1)
    found = {"baseline": numbers, "trcgl": numbers, "gain": gain, "scored_classes": 2}
    columns = ["class", "group", "positives", "AP", "AUC", "F1", "threshold", "AP_prevalence"]
    rows = pd.DataFrame(
        [
            (model, "mass", "tail", 4, 0.6, 0.7, 0.5, 0.1, value)
            for model, value in (("baseline", 0.25), ("trcgl", 0.375))
        ],
        columns=["model", *columns],
    )
    about = {"test_images": 9, "test_patients": 5, "scalings": {"mass": Scaling(0.9, 0.1), "a": Scaling(1.0, 0.1)}}
    card = model_card(found, rows, config, dataset="phantom", **about)
    assert f"trained on the data set `phantom`, {said} Research use only" in card
    assert "weighted back likewise, tail mAP is 0.375 (baseline: 0.250)." in card
    assert "The images are phantoms: nothing here says anything about patients." in card
    with_places = dataclasses.replace(config, known_places=80)
    assert "is not calibrated" not in card
    about |= {"scalings": dict.fromkeys(("a", "mass"), Scaling())}
    card = model_card(found, rows, with_places, dataset="nih", **about)
    assert "- a, mass: no validation image has it, or every one. Its threshold is 0.5, and its probability is n" in card
    assert f"{said} Its maps also learned from where a person has marked 80 findings in training images. R" in card
    assert "phantom" not in card


def test_the_gain_is_ours_less_the_baselines_with_the_interval_of_that():
    _, both, _ = scored()
    of = scored_models({"baseline": both["a"], "trcgl": both["b"]})
    of = dataclasses.replace(of, thresholds=dict.fromkeys(("baseline", "trcgl"), [0.5] * 4))
    resampled = resample_models(of, image_weights(of.patients, 60))
    found = compare(of, resampled).metrics
    assert found["trcgl"]["tail_mAP"] > found["baseline"]["tail_mAP"]
    for key in ("mAP", "tail_mAP"):
        assert found["gain"][key] == pytest.approx(found["trcgl"][key] - found["baseline"][key])
    wanted = paired_interval(*(resampled[name].means(GROUPS)["tail_mAP"] for name in ("trcgl", "baseline")))
    assert (found["gain"]["tail_mAP_low"], found["gain"]["tail_mAP_high"]) == (wanted.low, wanted.high)
