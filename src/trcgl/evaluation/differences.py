"""Paired differences between models scored on the same images, with intervals over patients."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from trcgl.evaluation.bootstrap import (
    mean_of_defined,
    patient_weights,
    percentile_interval,
    weighted_area_under_roc,
    weighted_average_precision,
)
from trcgl.metrics import GROUPS

COMPARED = ("mAP", "head_mAP", "medium_mAP", "tail_mAP", "mAUC", "tail_mAUC")
COLUMNS = ("model", "reference", "metric", "value", "reference_value", "difference", "low", "high")


def resampled_metrics(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """The metrics of one set of predictions under many image weightings.

    Args:
        labels, scores: [N, C].
        groups: [C].
        weights: [B, N].

    Returns:
        metric -> [B]; NaN where no finding has a value.
    """
    columns = range(labels.shape[1])
    ap = np.stack([weighted_average_precision(labels[:, c], scores[:, c], weights) for c in columns])
    auc = np.stack([weighted_area_under_roc(labels[:, c], scores[:, c], weights) for c in columns])
    tail = groups == "tail"
    found = {"mAP": mean_of_defined(ap), "mAUC": mean_of_defined(auc), "tail_mAUC": mean_of_defined(auc[tail])}
    return found | {f"{group}_mAP": mean_of_defined(ap[groups == group]) for group in GROUPS}


def resample_models(
    labels: np.ndarray,
    scores: Mapping[str, np.ndarray],
    groups: np.ndarray,
    patients: np.ndarray,
    *,
    resamples: int,
    seed: int,
) -> dict[str, dict[str, np.ndarray]]:
    """model -> metric -> [1 + resamples]: first the images as they are, then the resamples, the same for every model.

    Args:
        labels: [N, C] of 1, 0 or NaN.
        scores: model -> [N, C].
        groups: [C].
        patients: [N].
    """
    weights = np.vstack([np.ones(len(patients), dtype=np.int32), patient_weights(patients, resamples, seed)])
    return {model: resampled_metrics(labels, values, groups, weights) for model, values in scores.items()}


def paired_differences(resampled: Mapping[str, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Every pair of models, the later one minus the earlier: a row a metric, with a 95 % interval.

    Args:
        resampled: from `resample_models`.

    Returns:
        COLUMNS. A resample in which a model has no value counts for neither.
    """
    rows = []
    for reference, model in combinations(resampled, 2):
        for metric in COMPARED:
            ours, other = resampled[model][metric], resampled[reference][metric]
            difference = ours - other
            interval = percentile_interval(difference[1:])
            point = float(ours[0]), float(other[0]), float(difference[0])
            rows.append((model, reference, metric, *point, interval.low, interval.high))
    return pd.DataFrame(rows, columns=list(COLUMNS))
