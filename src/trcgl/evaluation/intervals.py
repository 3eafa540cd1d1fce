"""The uncertainty of each metric of each model: intervals over patients, in addition to the paired differences."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from trcgl.evaluation.bootstrap import bootstrap_interval


def metric_intervals(means: Mapping[str, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Content of metrics/intervals.csv: one row per model and metric, with a 95 % interval.

    Args:
        means: model -> metric -> [1 + B], from `Resampled.means`.

    Returns:
        model, metric, value, low, high.
    """
    rows = []
    for model, metrics in means.items():
        for metric, values in metrics.items():
            interval = bootstrap_interval(values)
            rows.append((model, metric, float(values[0]), interval.low, interval.high))
    return pd.DataFrame(rows, columns=["model", "metric", "value", "low", "high"])
