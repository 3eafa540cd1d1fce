"""Figures of the evaluation: AP with intervals, precision against recall, reliability; for maps see attention.py."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve

from trcgl.evaluation.bootstrap import bootstrap_interval
from trcgl.evaluation.reliability import reliability_diagram
from trcgl.evaluation.resampled import Resampled
from trcgl.evaluation.scored import Scored
from trcgl.metrics import GROUPS, has_both
from trcgl.runtime.figures import MODEL_COLOURS, columns_of, legend_in_first, save_figure

LEAST_PATIENTS = 5
"""Over fewer patients, an interval of one finding's AP covers less than it says: simulated, 0.50 with one patient who
has the finding, 0.67 with two, and about 0.90 with eight (`tests/test_evaluation_parts.py`)."""
UNDEFINED = np.array([np.nan])


def enough_patients(labels: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """bool [C]: whether enough patients have each finding, and enough have an image without it, for an interval.

    Args:
        labels: [N, C] of 1, 0 or NaN.
        patients: [N].
    """
    return np.array(
        [min(len(np.unique(patients[column == value])) for value in (0, 1)) >= LEAST_PATIENTS for column in labels.T]
    )


def draw_pictures(folder: Path, scored: Scored, resampled: Mapping[str, Resampled]) -> None:
    """AP bars with intervals, precision-recall curves and reliability by group.

    Args:
        folder: existing; PNG files are written into it.
    """
    findings, groups = scored.classes["name"].tolist(), scored.classes["group"].tolist()
    enough = enough_patients(scored.labels, scored.patients)
    intervals = {
        model: [bootstrap_interval(ap if enough[c] else UNDEFINED) for c, ap in enumerate(found.ap)]
        for model, found in resampled.items()
    }
    with warnings.catch_warnings():
        # A finding without a known label has no chance level
        warnings.simplefilter("ignore", RuntimeWarning)
        chance = np.nanmean(scored.labels, axis=0)
    bars = ap_bars(
        findings,
        groups,
        {model: found.ap[:, 0] for model, found in resampled.items()},
        {model: np.array([interval.low for interval in of_model]) for model, of_model in intervals.items()},
        {model: np.array([interval.high for interval in of_model]) for model, of_model in intervals.items()},
        chance,
        "95 % interval over patients"
        + ("" if enough.all() else f"; none where fewer than {LEAST_PATIENTS} have a finding, or have not"),
    )
    save_figure(bars, folder / "average_precision.png")
    curves = precision_recall_by_group(scored.labels, scored.scores, groups)
    save_figure(curves, folder / "precision_recall_by_group.png")
    diagram = reliability_diagram(scored.labels, scored.scores, groups, scored.weights)
    save_figure(diagram, folder / "reliability.png")


def ap_bars(
    classes: Sequence[str],
    groups: Sequence[str],
    ap: Mapping[str, np.ndarray],
    low: Mapping[str, np.ndarray],
    high: Mapping[str, np.ndarray],
    chance: np.ndarray,
    intervals: str,
) -> Figure:
    """AP of each finding with its interval, one bar per model, findings in order of the table, in columns if many.

    Args:
        ap, low, high: model -> [C].
        chance: [C] share of positives, which is the AP of random scores.
        intervals: what the intervals are, for the axis.
    """
    parts = columns_of(len(classes))
    figure, panels = plt.subplots(
        1, len(parts), figsize=(7 * len(parts), 0.42 * len(parts[0]) + 1.2), squeeze=False,
        layout=None if len(parts) == 1 else "constrained",
    )  # fmt: skip
    height = 0.8 / len(ap)
    for axes, part in zip(panels[0], parts, strict=True):
        place = np.arange(len(part))
        for i, (model, values) in enumerate(ap.items()):
            offset = (i - (len(ap) - 1) / 2) * height
            error = np.nan_to_num(np.stack([values - low[model], high[model] - values]))[:, part]
            axes.barh(place + offset, values[part], height, xerr=error, label=model, color=MODEL_COLOURS.get(model),
                      error_kw={"lw": 0.8})  # fmt: skip
        axes.plot(chance[part], place, "|", color="black", markersize=9, label="chance")
        axes.set_yticks(place, [f"{classes[c]} ({groups[c]})" for c in part])
        if len(parts) > 1:
            # All columns get the height of the longest one, so that bars have the same height in all
            axes.set_ylim(-1, len(parts[0]))
        axes.invert_yaxis()
        axes.set(xlabel=f"average precision, {intervals}", xlim=(0, 1))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=len(ap) + 1, fontsize=8, frameon=False)
    return figure


def attainable(precision: np.ndarray, recall: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """The best precision at each recall of the grid or at a higher one.

    Args:
        precision, recall: from scikit-learn: recall falls, and the last point (1, 0) belongs to no threshold.
        grid: recalls in 0..1.
    """
    best = np.maximum.accumulate(precision[:-1])
    return best[::-1][np.searchsorted(recall[-2::-1], grid)]


def precision_recall_by_group(labels: np.ndarray, scores: Mapping[str, np.ndarray], groups: Sequence[str]) -> Figure:
    """Precision against recall averaged over the findings of a group, one panel per group.

    Args:
        labels: [N, C] of 1, 0 or NaN.
        scores: model -> [N, C].
    """
    figure, panels = plt.subplots(1, len(GROUPS), figsize=(10, 3.3), sharey=True)
    recall_grid = np.linspace(0, 1, 101)
    for axes, group in zip(panels, GROUPS, strict=True):
        members = [c for c, g in enumerate(groups) if g == group and has_both(labels[:, c])]
        for model, values in scores.items():
            curves = []
            for c in members:
                known = ~np.isnan(labels[:, c])
                precision, recall, _ = precision_recall_curve(labels[known, c], values[known, c])
                curves.append(attainable(precision, recall, recall_grid))
            if curves:
                axes.plot(recall_grid, np.mean(curves, axis=0), label=model, color=MODEL_COLOURS.get(model))
        axes.set(title=f"{group} ({len(members)} findings)", xlabel="recall", xlim=(0, 1), ylim=(0, 1))
    panels[0].set_ylabel("precision")
    legend_in_first(panels)
    return figure
