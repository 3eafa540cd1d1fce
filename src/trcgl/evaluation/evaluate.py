"""Both models on the test split: predictions, metrics with intervals, pictures."""

from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.predict import predict_with_maps
from trcgl.classifier.network.receptive_field import receptive_shift
from trcgl.config import EvaluationParams
from trcgl.evaluation import plots
from trcgl.evaluation.bootstrap import patient_weights, percentile_interval, weighted_average_precision
from trcgl.evaluation.differences import paired_differences, resample_models
from trcgl.evaluation.intervals import metric_intervals
from trcgl.evaluation.localisation import SHIFT_IMAGES, judge, judge_model, localisation_table
from trcgl.evaluation.places import decode_mask, find_places, mean_masks
from trcgl.evaluation.reliability import reliability_diagram
from trcgl.evaluation.split import EvaluationSet
from trcgl.evaluation.subgroups import subgroup_table
from trcgl.evaluation.views import predict_views, views
from trcgl.metrics import per_class_table, summary
from trcgl.runtime.errors import InputError
from trcgl.runtime.figures import save_figure

REFERENCE, OURS = "baseline", "trcgl"


def predict_all(models: dict[str, Classifier], data: EvaluationSet, params: EvaluationParams) -> dict[str, np.ndarray]:
    """Probabilities [N, C] of every model, over as many views as the test-time knobs say.

    Raises:
        InputError: a model was trained on other findings than the labels have.
    """
    wanted = tuple(data.classes["name"])
    for name, model in models.items():
        if model.config.class_names != wanted:
            raise InputError(f"model '{name}' knows other findings than data/labels/classes.json; train it again")
    shown = views(params)
    return {name: predict_views(model, data.images, shown) for name, model in models.items()}


def predictions_table(data: EvaluationSet, scores: dict[str, np.ndarray]) -> pd.DataFrame:
    """Long table: model, image, finding, label (missing where unknown), probability."""
    findings = data.classes["name"].to_numpy()
    parts = [
        pd.DataFrame(
            {
                "model": model,
                "image": np.repeat(data.names, len(findings)),
                "finding": np.tile(findings, len(data.names)),
                "label": pd.Series(data.labels.ravel()).astype("Int8"),
                "probability": values.ravel(),
            }
        )
        for model, values in scores.items()
    ]
    return pd.concat(parts, ignore_index=True)


def compare(
    models: dict[str, Classifier], data: EvaluationSet, scores: dict[str, np.ndarray], params: EvaluationParams
) -> tuple[dict[str, object], pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Contents of metrics/metrics.json, metrics/per_class.csv, metrics/differences.csv and metrics/intervals.csv.

    The gain is ours minus the baseline's, its interval from a bootstrap that resamples patients and scores both
    models on the same resamples.
    """
    tables = {}
    for name, model in models.items():
        tables[name] = per_class_table(
            data.labels,
            scores[name],
            data.classes["name"].tolist(),
            data.classes["group"].tolist(),
            [model.thresholds[finding] for finding in data.classes["name"]],
            data.classes["prevalence"].tolist(),
            fixed_threshold=params.fixed_threshold,
            ece_bins=params.ece_bins,
        )
    blocks = {name: summary(table) for name, table in tables.items()}
    groups = data.classes["group"].to_numpy()
    resampled = resample_models(
        data.labels, scores, groups, data.patients, resamples=params.bootstrap_samples, seed=params.seed
    )
    differences = paired_differences({name: resampled[name] for name in (REFERENCE, OURS)})
    tail = percentile_interval(resampled[OURS]["tail_mAP"][1:] - resampled[REFERENCE]["tail_mAP"][1:])
    metrics: dict[str, object] = {
        OURS: blocks[OURS],
        REFERENCE: blocks[REFERENCE],
        "gain": {
            "mAP": blocks[OURS]["mAP"] - blocks[REFERENCE]["mAP"],
            "tail_mAP": blocks[OURS]["tail_mAP"] - blocks[REFERENCE]["tail_mAP"],
            "tail_mAP_low": tail.low,
            "tail_mAP_high": tail.high,
        },
        "scored_classes": int(tables[OURS]["AP"].notna().sum()),
    }
    per_class = pd.concat([table.assign(model=name) for name, table in tables.items()], ignore_index=True)
    first = ["model", "class", "group", "positives", "AP", "AUC", "F1", "threshold"]
    per_class = per_class[[*first, *(column for column in per_class if column not in first)]]
    return metrics, per_class, differences, metric_intervals(resampled)


def by_subgroup(
    models: dict[str, Classifier], data: EvaluationSet, scores: dict[str, np.ndarray], params: EvaluationParams
) -> pd.DataFrame:
    """Content of metrics/subgroups.csv."""
    names = data.classes["name"]
    return subgroup_table(
        data.labels,
        scores,
        data.about,
        data.patients,
        data.classes,
        {name: [model.thresholds[finding] for finding in names] for name, model in models.items()},
        fixed_threshold=params.fixed_threshold,
        ece_bins=params.ece_bins,
        resamples=params.bootstrap_samples,
        seed=params.seed,
    )


def localise(
    models: dict[str, Classifier],
    data: EvaluationSet,
    lesions: pd.DataFrame,
    training: pd.DataFrame,
    params: EvaluationParams,
) -> pd.DataFrame:
    """Content of metrics/localisation.csv: class maps and Grad-CAM of every model, and what needs no model.

    The last (model `none`, method `mean_training_mask`) is the finding's mean mask over the training images: how far
    one comes by knowing where a finding usually is.

    Args:
        lesions: image, finding, mask (PNG); empty where the data set knows no places.
        training: image and a column a finding (1, 0, missing) of the training images.

    Raises:
        InputError: a model does not say how its pictures were made, so masks cannot follow them.
    """
    preparation = models[OURS].config.preparation
    if preparation is None:
        raise InputError("data/models/classifier/config.json does not say how pictures are made; train it again")
    findings, groups = data.classes["name"].tolist(), data.classes["group"].tolist()
    places = find_places(lesions, data.names, data.labels, findings, preparation.resize)
    judged = {}
    if len(places.rows):
        for name, model in models.items():
            judged |= {(name, method): found for method, found in judge_model(model, data.images, places).items()}
        labels = training[findings].to_numpy(dtype=np.float32, na_value=np.nan)
        usual = mean_masks(lesions, training["image"].tolist(), labels, findings, preparation.resize)
        judged["none", "mean_training_mask"] = judge(usual, places.columns, places)
    return localisation_table(
        judged, places, data.patients, findings, groups, resamples=params.bootstrap_samples, seed=params.seed
    )


def draw_pictures(
    folder: Path,
    models: dict[str, Classifier],
    data: EvaluationSet,
    scores: dict[str, np.ndarray],
    lesions: pd.DataFrame,
    params: EvaluationParams,
) -> None:
    """AP bars with intervals, precision-recall curves and reliability by group, attention overlays.

    Args:
        folder: existing; PNG files are written into it.
        lesions: image, finding, mask (PNG bytes) where the data set knows the place of a lesion; else empty.
    """
    findings, groups = data.classes["name"].tolist(), data.classes["group"].tolist()
    weights = patient_weights(data.patients, params.bootstrap_samples, params.seed)
    ap, low, high = {}, {}, {}
    for name, values in scores.items():
        samples = [weighted_average_precision(data.labels[:, c], values[:, c], weights) for c in range(len(findings))]
        intervals = [percentile_interval(sample) for sample in samples]
        low[name] = np.array([interval.low for interval in intervals])
        high[name] = np.array([interval.high for interval in intervals])
        ones = np.ones((1, len(data.names)))
        ap[name] = np.array(
            [weighted_average_precision(data.labels[:, c], values[:, c], ones)[0] for c in range(len(findings))]
        )
    chance = np.nanmean(data.labels, axis=0)
    save_figure(plots.ap_bars(findings, groups, ap, low, high, chance), folder / "average_precision.png")
    save_figure(plots.precision_recall_by_group(data.labels, scores, groups), folder / "precision_recall_by_group.png")
    prevalence = data.classes["prevalence"].tolist()
    save_figure(
        reliability_diagram(data.labels, scores, groups, prevalence, params.ece_bins), folder / "reliability.png"
    )
    _draw_overlays(folder / "attention.png", models[OURS], data, scores[OURS], lesions, params.overlays_per_finding)


def _draw_overlays(
    path: Path, model: Classifier, data: EvaluationSet, scores: np.ndarray, lesions: pd.DataFrame, count: int
) -> None:
    """Class maps of the positives the model is surest of and least sure of, so that the picture does not flatter."""
    chosen = []
    for c, finding in enumerate(data.classes["name"]):
        positives = np.flatnonzero(data.labels[:, c] == 1)
        ranked = positives[np.argsort(-scores[positives, c], kind="stable")]
        places = np.unique(np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int))
        chosen += [(int(ranked[place]), c, finding) for place in places]
    if not chosen:
        return
    rows = np.array([row for row, _, _ in chosen])
    _, maps = predict_with_maps(model, data.images[rows])
    save_figure(
        plots.attention_overlays(
            [data.images[row] for row in rows],
            [maps[i, c] for i, (_, c, _) in enumerate(chosen)],
            [f"{finding}: {scores[row, c]:.2f}" for row, c, finding in chosen],
            [_mask(lesions, data.names[row], finding) for row, _, finding in chosen],
            shift=receptive_shift(model, data.images[rows[:SHIFT_IMAGES]]),
        ),
        path,
    )


def _mask(lesions: pd.DataFrame, image: str, finding: str) -> np.ndarray | None:
    """The true place of a finding, bool [H, W], or None where it is not known."""
    found = lesions.loc[(lesions["image"] == image) & (lesions["finding"] == finding), "mask"]
    return None if found.empty else decode_mask(found.iloc[0])
