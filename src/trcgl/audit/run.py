"""The audit of a folder of synthetic images: it reads files and gives verdicts and tables."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from trcgl.audit.base_features import BaseFeatures
from trcgl.audit.co_findings import unverified_findings
from trcgl.audit.detector import detector_columns, detector_features, load_detector
from trcgl.audit.distances import sample_distances
from trcgl.audit.drawn_images import load_drawn_images
from trcgl.audit.finding_tests import finding_tests
from trcgl.audit.judge import judge_scores
from trcgl.audit.likeness import likeness_columns
from trcgl.audit.limits import Limits, real_limits
from trcgl.audit.overlaid import Space
from trcgl.audit.per_class import per_class_table
from trcgl.audit.real_images import load_real_images, no_real_images
from trcgl.audit.twins import find_twins
from trcgl.audit.verdicts import judge_samples, twins_rejected
from trcgl.classifier.network.model import Classifier
from trcgl.config import AuditParams
from trcgl.diffusion.generator.saved import has_generator

REPORTED_DECIMALS = 6
"""Decimals of scores and distances; the last bits of floating-point sums differ between processors."""


@dataclass(frozen=True)
class Audit:
    """The results of an audit.

    Attributes:
        verdicts: one row per sample, with the columns of `judge_samples` and `twins_rejected`, and unverified (a list
            of findings, see `unverified_findings`).
        per_class: one row per tail finding, with the columns of `per_class_table`, `likeness_columns` and, with a
            detector, `detector_columns`.
        tests: by finding, see `finding_tests`.
        limits: see `real_limits`.
        validation_scores: float [N, C], the judge's scores by finding; for figures.
        validation_labels: float [N, C] of 1, 0 or NaN, by finding.
        image_size: side in pixels of the images that the judge reads.
        kid_features: name of the frozen feature space of KID, precision and recall.
        generator: whether stage one is on.
        grafts: number of samples that contain a region of another real image.
    """

    verdicts: pd.DataFrame
    per_class: pd.DataFrame
    tests: pd.DataFrame
    limits: Limits
    validation_scores: pd.DataFrame
    validation_labels: pd.DataFrame
    image_size: int
    kid_features: str
    generator: bool
    grafts: int


def audit_synthetic(
    synthetic: Path,
    images: Path,
    labels: Path,
    judge: Path,
    generator: Path,
    tail: list[str],
    params: AuditParams,
    device: torch.device,
) -> Audit:
    """Judge every sample in a folder of synthetic images. An empty folder gives empty tables without any computation.

    Args:
        synthetic: shards with samples.parquet.
        images: shards of the real images at the size that the judge reads.
        labels: labels.parquet. Distances of samples are measured to training images. Validation images set the judge's
            thresholds and are the reference for the quality measures. Test images are not read.
        judge: folder of a classifier trained on real images only.
        generator: folder of the generator, whose base gives the frozen feature space.
        tail: the findings in the table by class.

    Raises:
        InputError: files do not belong together, or 'audit.detector' is not a saved classifier.
    """
    model = Classifier.load(judge).to(device)
    findings = list(model.config.class_names)
    drawn = load_drawn_images(synthetic, model)
    # Without images there is nothing to judge, and the detector may know none of the findings
    asked = params.detector if len(drawn) else None
    detector = None if asked is None else load_detector(asked, findings).to(device)
    train, val = (
        load_real_images(images, labels, model, split) if len(drawn) else no_real_images(model)
        for split in ("train", "val")
    )
    space: Space = BaseFeatures(generator, device) if len(drawn) else _no_features
    validation_scores = judge_scores(model, val.pixels)

    tests, limits = finding_tests(validation_scores, val.labels, params), real_limits(train, val, space, params)
    distances = sample_distances(drawn, train, limits, space)
    verdicts = judge_samples(drawn.samples, drawn.scores, tests, distances, limits)
    passed = verdicts["accepted"].to_numpy(dtype=bool)
    twins = find_twins(drawn.samples, passed, drawn.pixels, drawn.measured.thumbnails, limits, space)
    verdicts = twins_rejected(verdicts, twins).assign(
        unverified=pd.Series(unverified_findings(drawn.samples, drawn.scores, tests), dtype=object)
    )

    per_class, kid_features = per_class_table(tail, tests, verdicts), "base generator"
    if detector is not None:
        space, kid_features = partial(detector_features, detector), "independent detector"
    accepted = verdicts["accepted"].to_numpy(dtype=bool)
    parts = [per_class, likeness_columns(tail, drawn, accepted, train, val, space)]
    if detector is not None:
        parts.append(detector_columns(detector, val.pixels, val.labels, drawn.pixels, verdicts, tail))
    return Audit(
        verdicts=verdicts.round(REPORTED_DECIMALS),
        per_class=pd.concat(parts, axis=1).round(REPORTED_DECIMALS),
        tests=tests,
        limits=limits,
        validation_scores=pd.DataFrame(validation_scores, columns=findings),
        validation_labels=val.labels,
        image_size=model.config.image_size,
        kid_features=kid_features,
        generator=has_generator(generator),
        grafts=int(drawn.samples["source"].notna().sum()),
    )


def _no_features(_: object) -> np.ndarray:
    """The feature space for an empty folder, where nothing is compared."""
    return np.empty((0, 0), np.float32)
