"""Reliability diagram: the share of images with a finding among the images with a similar predicted probability.

The images are weighted back to the training prevalence, as for the calibration error. Findings of a group are pooled,
because a tail finding alone has too few images in a bin. ECE is a mean over findings, so the gaps in this diagram do
not add up to ECE.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from trcgl.metrics import ECE_BINS, GROUPS, has_both
from trcgl.runtime.figures import MODEL_COLOURS, legend_in_first


class ReliabilityCurve(NamedTuple):
    """Values per bin, each float64 [bins]; NaN, NaN and 0 in a bin without any probability."""

    predicted: np.ndarray
    """Weighted mean probability."""
    observed: np.ndarray
    """Weighted share of positives."""
    share: np.ndarray
    """Share of the total weight of all pairs of image and finding; sums to 1."""


def reliability_curve(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, bins: int
) -> ReliabilityCurve | None:
    """The curve of some findings pooled, or None if none of them has a positive and a negative.

    Args:
        labels: [N, C] of 1, 0 or NaN (left out).
        scores: [N, C] probabilities.
        weights: [N] of the images.
        bins: number of bins of equal width.
    """
    pooled = []
    for y, p in zip(labels.T, scores.T, strict=True):
        known = ~np.isnan(y)
        if has_both(y):
            pooled.append((y[known], p[known], weights[known]))
    if not pooled:
        return None
    y, p, weight = (np.concatenate(part).astype(np.float64) for part in zip(*pooled, strict=True))
    place = np.minimum((p * bins).astype(int), bins - 1)
    total, predicted, observed = (
        np.bincount(place, weight * values, minlength=bins) for values in (np.ones_like(p), p, y)
    )
    with np.errstate(invalid="ignore"):
        return ReliabilityCurve(predicted / total, observed / total, total / total.sum())


def reliability_diagram(
    labels: np.ndarray,
    scores: Mapping[str, np.ndarray],
    groups: Sequence[str],
    weights: np.ndarray,
) -> Figure:
    """A panel per group; below it the share of the pairs of image and finding in each bin.

    Args:
        labels: [N, C] of 1, 0 or NaN.
        scores: model -> [N, C].
        groups: [C].
        weights: [N] of the images.
    """
    figure, panels = plt.subplots(
        2, len(GROUPS), figsize=(10, 4.3), sharex=True, sharey="row", height_ratios=(3, 1), layout="constrained"
    )
    for (curves, shares), group in zip(panels.T, GROUPS, strict=True):
        members = [c for c, name in enumerate(groups) if name == group]
        curves.plot([0, 1], [0, 1], color="#cccccc", lw=0.8)
        for model, values in scores.items():
            curve = reliability_curve(labels[:, members], values[:, members], weights, ECE_BINS)
            if curve is not None:
                colour = MODEL_COLOURS.get(model)
                seen = curve.share > 0
                curves.plot(curve.predicted[seen], curve.observed[seen], "o-", markersize=3, lw=1, label=model,
                            color=colour)  # fmt: skip
                shares.stairs(curve.share, np.linspace(0, 1, ECE_BINS + 1), color=colour)
        curves.set(title=f"{group} ({len(members)} findings)", xlim=(0, 1), ylim=(0, 1))
        shares.set(xlabel="probability", yscale="log")
    panels[0, 0].set_ylabel("finding there")
    panels[1, 0].set_ylabel("share")
    legend_in_first(panels[0])
    return figure
