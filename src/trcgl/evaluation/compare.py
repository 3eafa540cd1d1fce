"""Compares both models: the metrics of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from trcgl.evaluation.bootstrap import paired_interval
from trcgl.evaluation.differences import paired_differences
from trcgl.evaluation.intervals import metric_intervals
from trcgl.evaluation.resampled import Resampled
from trcgl.evaluation.scored import Scored
from trcgl.metrics import summary

REFERENCE, OURS = "baseline", "trcgl"
FIRST = ["model", "class", "group", "positives", "AP", "AUC", "F1", "threshold"]


@dataclass(frozen=True)
class Comparison:
    """Contents of metrics/metrics.json, metrics/per_class.csv, metrics/differences.csv and metrics/intervals.csv."""

    metrics: dict[str, Any]
    per_class: pd.DataFrame
    differences: pd.DataFrame
    intervals: pd.DataFrame


def compare(scored: Scored, resampled: Mapping[str, Resampled]) -> Comparison:
    """Compare both models.

    The gain is our model's value minus the baseline's. Its interval comes from the same resamples of the patients for
    both models.
    """
    tables = {model: scored.per_class(model) for model in scored.scores}
    blocks = {model: summary(table) for model, table in tables.items()}
    groups = scored.classes["group"].to_numpy()
    means = {model: found.means(groups) for model, found in resampled.items()}
    tail = paired_interval(means[OURS]["tail_mAP"], means[REFERENCE]["tail_mAP"])
    metrics = {
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
    return Comparison(
        metrics=metrics,
        per_class=per_class[[*FIRST, *(column for column in per_class if column not in FIRST)]],
        differences=paired_differences({name: means[name] for name in (REFERENCE, OURS)}),
        intervals=metric_intervals(means),
    )
