"""The audit of a folder of synthetic images, from files to verdicts and tables."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from trcgl.artifacts.labelled_images import labelled_images
from trcgl.artifacts.pixels import Pixels, StoredPixels, resized
from trcgl.artifacts.shards import ShardedImages
from trcgl.audit.detector import load_detector
from trcgl.audit.distances import sample_distances
from trcgl.audit.finding_tests import finding_tests
from trcgl.audit.limits import NEIGHBOURS, Limits, real_limits
from trcgl.audit.measured import Measured, measure
from trcgl.audit.per_class import detector_columns, set_likeness, verdict_counts
from trcgl.audit.verdicts import judge_samples
from trcgl.classifier.network.model import Classifier
from trcgl.config import AuditParams
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_parquet

REPORTED_DECIMALS = 6
"""Of scores and distances: sums of float products differ in their last bits from one processor to the next."""


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        verdicts: one row per sample, see `judge_samples`.
        per_class: one row per tail finding, in class order: finding, the counts of `verdict_counts`, judge_auc,
            judge_decides, and the columns of `set_likeness` and, with a detector, `second_opinion`.
        tests: by finding, see `finding_tests`.
        limits: see `real_limits`.
        validation_scores: float [N, C], the judge's, by finding; for pictures.
        validation_labels: float [N, C] of 1, 0 or NaN, by finding.
        image_size: side in pixels at which all was judged.
    """

    verdicts: pd.DataFrame
    per_class: pd.DataFrame
    tests: pd.DataFrame
    limits: Limits
    validation_scores: pd.DataFrame
    validation_labels: pd.DataFrame
    image_size: int


@dataclass(frozen=True)
class RealImages:
    """All real images with pixels.

    Attributes:
        rows: image, patient, split.
        labels: float columns of 1, 0 or NaN by the judge's findings, in the order of `rows`, as all that follows.
        pixels: from disk.
        measured: what the judge sees.
    """

    rows: pd.DataFrame
    labels: pd.DataFrame
    pixels: Pixels
    measured: Measured

    def split(self, name: str) -> np.ndarray:
        """Positions of a split's images."""
        return np.flatnonzero(self.rows["split"] == name)

    def limits(self, params: AuditParams) -> Limits:
        train, val = self.split("train"), self.split("val")
        patients = self.rows["patient"].to_numpy(dtype=object)
        return real_limits(self.measured.of(train), self.measured.of(val), patients[train], patients[val], params)

    def tests(self, params: AuditParams) -> pd.DataFrame:
        val = self.split("val")
        return finding_tests(self.measured.scores[val], self.labels.iloc[val], params)


def load_real_images(images: Path, labels: Path, judge: Classifier) -> RealImages:
    """Read and measure the real images.

    Args:
        images: shards at the size the judge reads.
        labels: labels.parquet; a labelled image without pixels is left out and reported.

    Raises:
        InputError: a finding of the judge is not a column of the labels, or no training image has pixels.
    """
    shards, findings = ShardedImages(images), list(judge.config.class_names)
    real = labelled_images(
        read_parquet(labels, ["image", "patient", "split"]), findings, shards.index["image"],
        file=labels, named_by="the judge knows; train it on these labels",
    )  # fmt: skip
    if not len(real.split("train")):
        raise InputError(f"{labels}: no training image has pixels in {images}")
    pixels = StoredPixels(shards, real.names, np.empty((0, shards.size, shards.size), np.uint8))
    return RealImages(
        rows=real.rows[["image", "patient", "split"]],
        labels=pd.DataFrame(real.targets, columns=findings),
        pixels=pixels,
        measured=measure(judge, pixels),
    )


def no_real_images(judge: Classifier) -> RealImages:
    """What samples are compared with where there are none: on a large data set measuring takes minutes."""
    findings, size = list(judge.config.class_names), judge.config.image_size
    pixels = np.empty((0, size, size), np.uint8)
    return RealImages(
        rows=pd.DataFrame(columns=["image", "patient", "split"], dtype="str"),
        labels=pd.DataFrame(columns=findings, dtype="float32"),
        pixels=pixels,
        measured=measure(judge, pixels),
    )


def audit_synthetic(
    synthetic: Path,
    images: Path,
    labels: Path,
    judge: Path,
    tail: list[str],
    params: AuditParams,
    device: torch.device,
) -> Audit:
    """Judge every sample in a folder of synthetic images; an empty folder gives empty tables, at once.

    Args:
        synthetic: shards with samples.parquet.
        images: shards of the real images at the size the judge reads.
        labels: labels.parquet. Training images are what samples are near to and far from, validation images set the
            judge's thresholds, and a sample may be a copy of an image of any split.
        judge: folder of a classifier trained on real images only.
        tail: findings of the table by class.

    Raises:
        InputError: files that do not belong together, or audit.detector names no saved classifier.
    """
    samples = read_parquet(synthetic / "samples.parquet", ["sample", "target", "findings", "unknown"])
    model = Classifier.load(judge).to(device)
    findings = list(model.config.class_names)
    detector = load_detector(params.detector, findings).to(device) if params.detector is not None else None
    lists = [*samples["findings"], *samples["unknown"]]
    foreign = {*samples["target"], *(name for named in lists for name in named)} - set(findings)
    if foreign:
        raise InputError(f"{synthetic}/samples.parquet: names '{min(foreign)}', which the judge does not know")

    real = load_real_images(images, labels, model) if len(samples) else no_real_images(model)
    size = model.config.image_size
    pixels = np.empty((0, size, size), np.uint8)
    if len(samples):
        pixels = resized(ShardedImages(synthetic).read(samples["sample"].tolist()), size)
    drawn = measure(model, pixels)
    tests, limits = real.tests(params), real.limits(params)
    distances = sample_distances(samples, drawn, real.rows, real.measured, NEIGHBOURS)
    verdicts = judge_samples(samples, drawn.scores, tests, distances, limits)

    val = real.split("val")
    validation_labels = real.labels.iloc[val].reset_index(drop=True)
    table = []
    for finding in tail:
        own = np.flatnonzero(samples["target"] == finding)
        carriers, unseen = (
            np.flatnonzero((real.rows["split"] == split) & (real.labels[finding] == 1)) for split in ("train", "val")
        )
        patients = real.rows["patient"].to_numpy(dtype=object)[carriers]
        likeness = set_likeness(
            real.measured.features[carriers],
            real.pixels[carriers],
            patients,
            real.measured.features[unseen],
            drawn.features[own],
            pixels[own],
        )
        table.append(
            {
                "finding": finding,
                **verdict_counts(verdicts.iloc[own]),
                "judge_auc": tests.at[finding, "auc"],
                "judge_decides": tests.at[finding, "decides"],
                **likeness,
            }
        )
    per_class = pd.DataFrame(table)
    if detector is not None and tail:
        validation = real.pixels[val]
        opinion = detector_columns(detector, validation, validation_labels, pixels, verdicts, tail)
        per_class = pd.concat([per_class, opinion], axis=1)
    return Audit(
        verdicts=verdicts.round(REPORTED_DECIMALS),
        per_class=per_class.round(REPORTED_DECIMALS),
        tests=tests,
        limits=limits,
        validation_scores=pd.DataFrame(real.measured.scores[val], columns=findings),
        validation_labels=validation_labels,
        image_size=size,
    )
