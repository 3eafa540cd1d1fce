"""Paired differences between models scored on the same images, with intervals over patients."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from trcgl.evaluation.bootstrap import paired_interval

COMPARED = ("mAP", "head_mAP", "medium_mAP", "tail_mAP", "mAUC", "tail_mAUC")
COLUMNS = ("model", "reference", "metric", "value", "reference_value", "difference", "low", "high")


def paired_differences(means: Mapping[str, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Content of metrics/differences.csv: every pair of models, the later one minus the earlier, one row per metric
    with a 95 % interval.

    Args:
        means: model -> metric -> [1 + B], from `Resampled.means`.

    Returns:
        COLUMNS. A resample in which one model has no value is left out for both.
    """
    rows = []
    for reference, model in combinations(means, 2):
        for metric in COMPARED:
            ours, other = means[model][metric], means[reference][metric]
            interval = paired_interval(ours, other)
            point = float(ours[0]), float(other[0]), float(ours[0] - other[0])
            rows.append((model, reference, metric, *point, interval.low, interval.high))
    return pd.DataFrame(rows, columns=list(COLUMNS))
