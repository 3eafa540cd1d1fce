"""Real images beside synthetic ones, a row per tail finding: what a person looks at before believing any number."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from trcgl.diffusion.rows import TrainingRows
from trcgl.diffusion.sample import Sample
from trcgl.images.shards import ShardedImages
from trcgl.runtime.files import written_beside

COLUMNS = 6
"""Images of each kind in a row."""


def real_beside_synthetic(
    path: Path, rows: TrainingRows, images: ShardedImages, plan: Sequence[Sample], pixels: np.ndarray
) -> None:
    """Write the picture. Real images are of the training split: nobody tunes a generator on the test images.

    Args:
        pixels: uint8 [len(plan), S, S].
    """
    targets = sorted(rows.carriers)
    figure = Figure(figsize=(2 * COLUMNS + 1, max(1, len(targets)) + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    if not targets:
        figure.text(0.5, 0.5, "no tail finding", ha="center", va="center")
    axes = figure.subplots(max(1, len(targets)), 2 * COLUMNS, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for line, target in zip(axes, targets, strict=False):
        carriers = rows.carriers[target][:COLUMNS]
        real = images.read([rows.images[i] for i in carriers])
        drawn = [pixels[i] for i, sample in enumerate(plan) if sample.target == target][:COLUMNS]
        for axis, image in [*zip(line, real, strict=False), *zip(line[COLUMNS:], drawn, strict=False)]:
            axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        line[0].set_title(f"{target}: real", loc="left", fontsize=8)
        line[COLUMNS].set_title("synthetic", loc="left", fontsize=8)
    with written_beside(path) as beside:
        figure.savefig(beside, dpi=100, metadata={"Software": None})
