"""A figure of real images beside synthetic ones, one row per tail finding, for a person to check by eye first."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from trcgl.artifacts.shards import ShardedImages
from trcgl.diffusion.generator.rows import TrainingRows
from trcgl.diffusion.sampling.plan import Sample
from trcgl.runtime.figures import save_figure

REAL, SYNTHETIC = 4, 8
"""Images of each kind in a row, at most."""
CELL, TITLE = 1.1, 0.3
"""Side of an image and height of the line above it, in inches."""


def real_beside_synthetic(
    path: Path, rows: TrainingRows, images: ShardedImages, plan: Sequence[Sample], synthetic: ShardedImages
) -> None:
    """Write the figure. The real images are from the training split, so that no generator is tuned on test images.

    Args:
        images: hold the real images of `rows`.
        synthetic: hold the samples of `plan`.
    """
    targets = sorted(rows.carriers)
    lines = max(1, len(targets))
    height = lines * (CELL + TITLE)
    figure = Figure(figsize=((REAL + SYNTHETIC + 1) * CELL, height))
    # Fixed positions, because an automatic layout would make a column with a long title wider
    grid = figure.add_gridspec(
        lines, REAL + 1 + SYNTHETIC, width_ratios=[1] * REAL + [0.2] + [1] * SYNTHETIC,
        left=0.01, right=0.99, bottom=0.05 / height, top=1 - TITLE / height, wspace=0.06, hspace=TITLE / CELL,
    )  # fmt: skip
    divider = figure.add_subplot(grid[:, REAL])
    divider.set_axis_off()
    if targets:
        divider.axvline(0.5, color="black", linewidth=2)
    else:
        figure.text(0.5, 0.5, "no tail finding", ha="center", va="center")
    for line, target in enumerate(targets):
        carriers = rows.carriers[target]
        drawn = [sample.sample for sample in plan if sample.target == target]
        shown = [*images.read([rows.images[i] for i in carriers[:REAL]])]
        columns = [*range(len(shown)), *range(REAL + 1, REAL + 1 + min(len(drawn), SYNTHETIC))]
        for column, image in zip(columns, [*shown, *synthetic.read(drawn[:SYNTHETIC])], strict=True):
            axis = figure.add_subplot(grid[line, column])
            axis.imshow(image, cmap="gray", vmin=0, vmax=255)
            axis.set_axis_off()
            if column == 0:
                axis.set_title(f"{target}: {len(carriers)} real training images", loc="left", fontsize=10)
            if column == REAL + 1:
                axis.set_title(f"{len(drawn)} synthetic", loc="left", fontsize=10)
    save_figure(figure, path, dpi=100, tight=False)
