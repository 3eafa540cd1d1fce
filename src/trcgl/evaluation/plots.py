"""Pictures of the evaluation. matplotlib without a display; file metadata is left out so that bytes repeat."""

from collections.abc import Mapping, Sequence

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve

from trcgl.classifier.network.spread_map import OPACITY, coloured_share
from trcgl.metrics import GROUPS
from trcgl.runtime.figures import MODEL_COLOURS


def ap_bars(
    classes: Sequence[str],
    groups: Sequence[str],
    ap: Mapping[str, np.ndarray],
    low: Mapping[str, np.ndarray],
    high: Mapping[str, np.ndarray],
    chance: np.ndarray,
) -> Figure:
    """AP of each finding with its interval, a bar a model, findings in order of the table.

    Args:
        ap, low, high: model -> [C].
        chance: [C] share of positives: the AP of a coin.
    """
    figure, axes = plt.subplots(figsize=(7, 0.42 * len(classes) + 1.2))
    place = np.arange(len(classes))
    height = 0.8 / len(ap)
    for i, (model, values) in enumerate(ap.items()):
        offset = (i - (len(ap) - 1) / 2) * height
        error = np.abs(np.nan_to_num(np.stack([values - low[model], high[model] - values])))
        axes.barh(place + offset, values, height, xerr=error, label=model, color=MODEL_COLOURS.get(model),
                  error_kw={"lw": 0.8})  # fmt: skip
    axes.plot(chance, place, "|", color="black", markersize=9, label="chance")
    axes.set_yticks(place, [f"{name} ({group})" for name, group in zip(classes, groups, strict=True)])
    axes.invert_yaxis()
    axes.set(xlabel="average precision, 95 % interval over patients", xlim=(0, 1))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=len(ap) + 1, fontsize=8, frameon=False)
    return figure


def precision_recall_by_group(labels: np.ndarray, scores: Mapping[str, np.ndarray], groups: Sequence[str]) -> Figure:
    """Precision against recall averaged over the findings of a group, a panel a group.

    Args:
        labels: [N, C] of 1, 0 or NaN.
        scores: model -> [N, C].
    """
    figure, panels = plt.subplots(1, len(GROUPS), figsize=(10, 3.3), sharey=True)
    recall_grid = np.linspace(0, 1, 101)
    for axes, group in zip(panels, GROUPS, strict=True):
        members = [c for c, g in enumerate(groups) if g == group and np.nansum(labels[:, c]) > 0]
        for model, values in scores.items():
            curves = []
            for c in members:
                known = ~np.isnan(labels[:, c])
                precision, recall, _ = precision_recall_curve(labels[known, c], values[known, c])
                # The curve comes with falling recall; the best precision at or beyond a recall is what is attainable
                envelope = np.maximum.accumulate(precision)
                curves.append(np.interp(recall_grid, recall[::-1], envelope[::-1]))
            if curves:
                axes.plot(recall_grid, np.mean(curves, axis=0), label=model, color=MODEL_COLOURS.get(model))
        axes.set(title=f"{group} ({len(members)} findings)", xlabel="recall", xlim=(0, 1), ylim=(0, 1))
    panels[0].set_ylabel("precision")
    panels[0].legend(fontsize=8)
    return figure


def attention_overlays(
    images: Sequence[np.ndarray],
    maps: Sequence[np.ndarray],
    titles: Sequence[str],
    masks: Sequence[np.ndarray | None],
    *,
    shift: tuple[float, float],
    columns: int = 4,
) -> Figure:
    """Image and class map side by side, the true lesion outlined where it is known.

    Args:
        images: uint8 [S, S] each.
        maps: float [h, w] each, evidence per place at any scale; what speaks against the finding is not coloured.
        titles: one a pair.
        masks: bool [H, W] each at any size, or None.
        shift: how far the maps' cells look down and right of the middle of their tiles, as shares of the side.
    """
    rows = max(1, -(-len(images) // columns))
    figure, panels = plt.subplots(rows, columns, figsize=(3.6 * columns, 2.1 * rows), squeeze=False)
    for axes in panels.ravel():
        axes.axis("off")
    for axes, image, attention, title, mask in zip(panels.ravel(), images, maps, titles, masks, strict=False):
        size = image.shape[0]
        axes.imshow(np.hstack([image, image]), cmap="gray", vmin=0, vmax=255)
        share = coloured_share(attention, size, shift)
        axes.imshow(share, cmap="inferno", alpha=OPACITY * share, vmin=0, vmax=1,
                    extent=(size - 0.5, 2 * size - 0.5, size - 0.5, -0.5))  # fmt: skip
        if mask is not None and mask.any():
            scale = size / mask.shape[0]
            grid = (np.arange(mask.shape[0]) + 0.5) * scale - 0.5
            for across in (0, size):
                axes.contour(grid + across, grid, mask.astype(float), levels=[0.5], colors="#39d353", linewidths=0.8)
        axes.set(xlim=(-0.5, 2 * size - 0.5), ylim=(size - 0.5, -0.5))
        axes.set_title(title, fontsize=7)
    return figure
