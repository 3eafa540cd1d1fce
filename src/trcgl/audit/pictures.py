"""Pictures of the audit: samples beside their nearest real images, and the judge's test of each tail finding."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from trcgl.artifacts.pixels import resized
from trcgl.artifacts.shards import ShardedImages
from trcgl.audit.run import Audit
from trcgl.runtime.figures import save_figure
from trcgl.runtime.files import read_parquet

SHOWN = ("best", "middle", "worst", "nearest")
COLUMNS = len(SHOWN)
TESTS_PER_LINE = 3
ACCEPTED, REJECTED = 6, 2
"""Largest number of accepted samples of each target in a line; rejected ones fill it up to the sum of both numbers."""


def draw_audit(audit: Audit, synthetic: Path, images: Path, folder: Path) -> None:
    """Write the figures for which there is data.

    Args:
        synthetic, images: shards of the samples and of the real images.
        folder: an existing folder.
    """
    findings = list(audit.per_class["finding"]) if len(audit.per_class) else []
    if findings:
        save_figure(finding_tests_picture(audit, findings), folder / "finding_tests.png")
    if len(audit.verdicts):
        save_figure(nearest_picture(audit.verdicts, synthetic, images), folder / "nearest_real_images.png")
        save_figure(carriers_picture(audit.verdicts, synthetic, images), folder / "carriers_beside_samples.png")


def finding_tests_picture(audit: Audit, findings: list[str]) -> Figure:
    """ROC curve of the judge's test of each finding on real validation images; the dot marks the test's threshold."""
    lines = -(-len(findings) // TESTS_PER_LINE)
    figure, panels = plt.subplots(lines, TESTS_PER_LINE, figsize=(2.9 * TESTS_PER_LINE, 2.9 * lines), squeeze=False,
                                  layout="constrained")  # fmt: skip
    for axes in panels.ravel()[len(findings) :]:
        axes.axis("off")
    for axes, finding in zip(panels.ravel(), findings, strict=False):
        auc, threshold = audit.tests.loc[[finding], ["auc", "threshold"]].to_numpy(dtype=float)[0]
        labels = audit.validation_labels[finding].to_numpy()
        axes.plot([0, 1], [0, 1], color="#cccccc", lw=0.8)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="finding not there, seen", ylabel="finding there, seen")
        if np.isnan([auc, threshold]).any():
            why = "not judged: too few validation images" if np.isnan(threshold) else "no validation image without it"
            axes.set_title(f"{finding}\n{why}", fontsize=8)
            continue
        score, known = audit.validation_scores[finding].to_numpy(), ~np.isnan(labels)
        wrong, right, _ = roc_curve(labels[known], score[known])
        axes.plot(wrong, right, color="#4c72b0")
        passed = [float((score[labels == kind] > threshold).mean()) for kind in (0, 1)]
        axes.plot(*passed, "o", color="#c44e52")
        axes.set_title(f"{finding}\nAUC {auc:.3f}\nseen: {passed[1]:.0%} with it, {passed[0]:.0%} without", fontsize=8)
    return figure


def nearest_picture(verdicts: pd.DataFrame, synthetic: Path, images: Path) -> Figure:
    """Four samples per target: best, middle and worst by the judge's score, and the one nearest to a real image.

    Each sample is shown beside its nearest training image in pixels. The title has the judge's score, the verdict and
    the distances.
    """
    chosen = []
    for _, part in verdicts.groupby("target", sort=True):
        ranked = part.sort_values("rank")
        picks = [ranked.iloc[place] for place in (0, len(ranked) // 2, len(ranked) - 1)]
        closest = ranked.sort_values("pixel_distance", kind="stable").iloc[0]
        chosen += list(zip(SHOWN, [*picks, closest], strict=True))
    real, drawn = ShardedImages(images), ShardedImages(synthetic)
    figure, panels = plt.subplots(-(-len(chosen) // COLUMNS), COLUMNS, figsize=(3.3 * COLUMNS, 0.4 * len(chosen)),
                                  squeeze=False, layout="constrained")  # fmt: skip
    for axes, (name, row) in zip(panels.ravel(), chosen, strict=True):
        sample = resized(drawn.read([row["sample"]]), real.size)
        nearest = real.read([row["pixel_nearest"]]) if row["pixel_nearest"] else np.zeros_like(sample)
        axes.imshow(np.hstack([*sample, *nearest]), cmap="gray", vmin=0, vmax=255)
        axes.axis("off")
        features = "not compared" if np.isnan(row["feature_distance"]) else f"{row['feature_distance']:.3f}"
        axes.set_title(
            f"{row['target']}, {name}: {row['target_score']:.3f}\n{row['reason'] or 'accepted'}\n"
            f"pixels {row['pixel_distance']:.4f}, laid over each other {features}",
            fontsize=7,
        )
    return figure


def carriers_picture(verdicts: pd.DataFrame, synthetic: Path, images: Path) -> Figure:
    """One line per target: the accepted samples that the judge ranks best, then rejected ones with the reason.

    Left of each sample is its carrier: the real training image with the same view, from which denoising also starts if
    `sampling.strength` is below 1. Left of a graft's carrier is the real image whose region was pasted in.
    """
    beside = read_parquet(synthetic / "samples.parquet", ["sample", "carrier", "source"], only=True)
    known = verdicts.merge(beside, on="sample").sort_values(["target", "rank"])
    real, drawn = ShardedImages(images), ShardedImages(synthetic)
    targets = list(dict.fromkeys(known["target"]))
    width = ACCEPTED + REJECTED
    inches = 3 if known["source"].notna().any() else 2
    figure, panels = plt.subplots(len(targets), width, figsize=(inches * width, 1.3 * len(targets)), squeeze=False,
                                  layout="constrained")  # fmt: skip
    for axes in panels.ravel():
        axes.axis("off")
    for line, target in zip(panels, targets, strict=True):
        own = known[known["target"] == target]
        accepted, rejected = own[own["accepted"]].head(ACCEPTED), own[~own["accepted"]]
        # If few samples are accepted, more rejected ones are shown
        chosen = pd.concat([accepted, rejected]).head(width)
        for axes, (_, row) in zip(line[: len(chosen)], chosen.iterrows(), strict=True):
            films = [row["carrier"]] if pd.isna(row["source"]) else [row["source"], row["carrier"]]
            shown = [*real.read(films), *resized(drawn.read([row["sample"]]), real.size)]
            axes.imshow(np.hstack(shown), cmap="gray", vmin=0, vmax=255)
            called = f"{target}: " if axes is line[0] else ""
            axes.set_title(called + (row["reason"] or "accepted"), fontsize=7, loc="left")
    return figure
