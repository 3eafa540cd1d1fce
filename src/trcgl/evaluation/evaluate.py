"""Both models on the test split: predictions, metrics with intervals, pictures."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from trcgl.classifier.model import Classifier
from trcgl.classifier.predict import predict, predict_with_maps
from trcgl.config import EvaluationParams
from trcgl.evaluation import plots
from trcgl.evaluation.bootstrap import (
    mean_ap_samples,
    patient_weights,
    percentile_interval,
    weighted_average_precision,
)
from trcgl.evaluation.metrics import per_class_table, summary
from trcgl.evaluation.split import EvaluationSet
from trcgl.runtime.errors import InputError

REFERENCE, OURS = "baseline", "trcgl"


def predict_all(models: dict[str, Classifier], data: EvaluationSet) -> dict[str, np.ndarray]:
    """Probabilities [N, C] of every model.

    Raises:
        InputError: a model was trained on other findings than the labels have.
    """
    wanted = tuple(data.classes["name"])
    for name, model in models.items():
        if model.config.class_names != wanted:
            raise InputError(f"model '{name}' knows other findings than data/labels/classes.json; train it again")
    return {name: predict(model, data.images) for name, model in models.items()}


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
) -> tuple[dict[str, object], pd.DataFrame]:
    """Contents of metrics/metrics.json and metrics/per_class.csv.

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
    tail = np.flatnonzero(data.classes["group"] == "tail")
    weights = patient_weights(data.patients, params.bootstrap_samples, params.seed)
    resampled = {name: mean_ap_samples(data.labels, values, weights, tail) for name, values in scores.items()}
    interval = percentile_interval(resampled[OURS] - resampled[REFERENCE])
    metrics: dict[str, object] = {
        OURS: blocks[OURS],
        REFERENCE: blocks[REFERENCE],
        "gain": {
            "mAP": blocks[OURS]["mAP"] - blocks[REFERENCE]["mAP"],
            "tail_mAP": blocks[OURS]["tail_mAP"] - blocks[REFERENCE]["tail_mAP"],
            "tail_mAP_low": interval.low,
            "tail_mAP_high": interval.high,
        },
        "scored_classes": int(tables[OURS]["AP"].notna().sum()),
    }
    per_class = pd.concat([table.assign(model=name) for name, table in tables.items()], ignore_index=True)
    first = ["model", "class", "group", "positives", "AP", "AUC", "F1", "threshold"]
    return metrics, per_class[[*first, *(column for column in per_class if column not in first)]]


def draw_pictures(
    folder: Path,
    models: dict[str, Classifier],
    data: EvaluationSet,
    scores: dict[str, np.ndarray],
    lesions: pd.DataFrame | None,
    params: EvaluationParams,
) -> None:
    """AP bars with intervals, precision-recall curves by group, attention overlays.

    Args:
        folder: existing; PNG files are written into it.
        lesions: image, finding, mask (PNG bytes) where the data set knows the place of a lesion.
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
    plots.save_figure(plots.ap_bars(findings, groups, ap, low, high, chance), folder / "average_precision.png")
    plots.save_figure(
        plots.precision_recall_by_group(data.labels, scores, groups), folder / "precision_recall_by_group.png"
    )
    _draw_overlays(folder / "attention.png", models[OURS], data, scores[OURS], lesions, params.overlays_per_finding)


def _draw_overlays(
    path: Path, model: Classifier, data: EvaluationSet, scores: np.ndarray, lesions: pd.DataFrame | None, count: int
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
    plots.save_figure(
        plots.attention_overlays(
            [data.images[row] for row in rows],
            [maps[i, c] for i, (_, c, _) in enumerate(chosen)],
            [f"{finding}: {scores[row, c]:.2f}" for row, c, finding in chosen],
            [_mask(lesions, data.names[row], finding) for row, _, finding in chosen],
        ),
        path,
    )


def _mask(lesions: pd.DataFrame | None, image: str, finding: str) -> np.ndarray | None:
    """The true place of a finding, bool [H, W], or None where it is not known."""
    if lesions is None:
        return None
    found = lesions.loc[(lesions["image"] == image) & (lesions["finding"] == finding), "mask"]
    if found.empty:
        return None
    return np.asarray(cv2.imdecode(np.frombuffer(found.iloc[0], np.uint8), cv2.IMREAD_GRAYSCALE)) > 0
