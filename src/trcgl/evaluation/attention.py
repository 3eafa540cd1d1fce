"""Figure of class maps: images of each finding next to their class maps, with the true lesion outlined if known."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from trcgl.artifacts.places import decode_mask
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.predict import predict_with_maps
from trcgl.classifier.network.receptive_field import receptive_shift
from trcgl.classifier.network.spread_map import OPACITY, coloured_share
from trcgl.evaluation.pointing import SHIFT_IMAGES
from trcgl.evaluation.split import EvaluationSet
from trcgl.runtime.figures import save_figure

FINDINGS = 24
"""Largest number of findings shown; of more, an even selection from the table is shown to keep the figure short."""


def draw_attention(
    path: Path, model: Classifier, data: EvaluationSet, scores: np.ndarray, lesions: pd.DataFrame, count: int
) -> None:
    """Draw class maps of positives from the highest to the lowest score, so that not only successes are shown.

    If more than FINDINGS findings have a positive, FINDINGS of them are shown, at equal distances in the table.

    Args:
        path: of the PNG file; it is not written if there is no positive.
        scores: [N, C] of the model.
        lesions: image, finding, mask (PNG bytes) of lesions with a known position; may be empty.
        count: number of images per finding.
    """
    chosen = []
    present = np.flatnonzero((data.labels == 1).any(axis=0))
    shown = present[np.unique(np.linspace(0, len(present) - 1, min(FINDINGS, len(present))).round().astype(int))]
    for c in shown.tolist():
        finding = data.classes["name"][c]
        positives = np.flatnonzero(data.labels[:, c] == 1)
        ranked = positives[np.argsort(-scores[positives, c], kind="stable")]
        places = np.unique(np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int))
        chosen += [(int(ranked[place]), c, finding) for place in places]
    if not chosen:
        return
    rows = np.array([row for row, _, _ in chosen])
    images = data.images[rows]
    _, maps = predict_with_maps(model, images)
    figure = attention_overlays(
        list(images),
        [maps[i, c] for i, (_, c, _) in enumerate(chosen)],
        [f"{finding}: {scores[row, c]:.2f}" for row, c, finding in chosen],
        [_mask(lesions, data.names[row], finding) for row, _, finding in chosen],
        shift=receptive_shift(model, images[:SHIFT_IMAGES]),
    )
    if len(shown) < len(present):
        figure.suptitle(f"{len(shown)} of {len(present)} findings, from all over the table", y=0.91, fontsize=9)
    save_figure(figure, path)


def _mask(lesions: pd.DataFrame, image: str, finding: str) -> np.ndarray | None:
    """The true mask of a finding, bool [H, W], or None if it is not known."""
    found = lesions.loc[(lesions["image"] == image) & (lesions["finding"] == finding), "mask"]
    return None if found.empty else decode_mask(found.iloc[0])


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
        maps: float [h, w] each, evidence per position at any scale; negative evidence is not coloured.
        titles: one per pair.
        masks: bool [H, W] each at any size, or None.
        shift: how far (down, right) the cells' receptive fields lie from the centres of their tiles, as shares of the
            side.
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
