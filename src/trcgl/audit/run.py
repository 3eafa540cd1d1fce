"""The audit of a folder of synthetic images, from files to verdicts and tables."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from trcgl.audit.detector import load_detector
from trcgl.audit.distances import sample_distances
from trcgl.audit.drawn_images import load_drawn_images
from trcgl.audit.limits import NEIGHBOURS, Limits
from trcgl.audit.per_class import detector_columns, per_class_table
from trcgl.audit.real_images import load_real_images, no_real_images
from trcgl.audit.verdicts import judge_samples
from trcgl.classifier.network.model import Classifier
from trcgl.config import AuditParams

REPORTED_DECIMALS = 6
"""Of scores and distances: sums of float products differ in their last bits from one processor to the next."""


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        verdicts: one row per sample, see `judge_samples`.
        per_class: `per_class_table` of the tail findings and, with a detector, the columns of `second_opinion`.
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
    model = Classifier.load(judge).to(device)
    findings = list(model.config.class_names)
    detector = load_detector(params.detector, findings).to(device) if params.detector is not None else None
    drawn = load_drawn_images(synthetic, model)
    real = load_real_images(images, labels, model) if len(drawn) else no_real_images(model)

    tests, limits = real.tests(params), real.limits(params)
    distances = sample_distances(drawn.samples, drawn.measured, real.rows, real.measured, NEIGHBOURS)
    verdicts = judge_samples(drawn.samples, drawn.measured.scores, tests, distances, limits)

    per_class = per_class_table(tail, drawn, real, tests, verdicts)
    val = real.split("val")
    validation_labels = real.labels.iloc[val].reset_index(drop=True)
    if detector is not None and tail:
        opinion = detector_columns(detector, real.pixels[val], validation_labels, drawn.pixels, verdicts, tail)
        per_class = pd.concat([per_class, opinion], axis=1)
    return Audit(
        verdicts=verdicts.round(REPORTED_DECIMALS),
        per_class=per_class.round(REPORTED_DECIMALS),
        tests=tests,
        limits=limits,
        validation_scores=pd.DataFrame(real.measured.scores[val], columns=findings),
        validation_labels=validation_labels,
        image_size=model.config.image_size,
    )
