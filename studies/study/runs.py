"""What the runs of a study read."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from study.arms import Study
from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.training.data import load_training_data
from trcgl.classifier.training.run import TrainingFiles
from trcgl.classifier.training.sampling import sampling_factors, steps_of_epoch
from trcgl.config import ClassifierParams, load_params
from trcgl.diffusion.generator.rows import training_rows
from trcgl.diffusion.sampling.counts import first_samples
from trcgl.runtime.files import read_parquet, write_parquet


def real_files(data: Path) -> TrainingFiles:
    """The real images of a pipeline's data folder."""
    return TrainingFiles(
        images=data / "images/classifier",
        labels=data / "labels/labels.parquet",
        classes=data / "labels/classes.json",
        graph=data / "graph/cooccurrence.npz",
    )


def arm_files(study: Study, arm: str, seed: int, knobs: ClassifierParams, folder: Path) -> TrainingFiles:
    """What an arm trains on.

    Args:
        knobs: of the arm.
        folder: where the verdicts of an arm with the shipped number of samples are written.
    """
    files = real_files(study.data)
    if knobs.extra_source == "none":
        return files
    generator = study.folder / f"runs/generator-{seed}"
    synthetic, audit = generator / "synthetic", generator / "synthetic_audit.parquet"
    if study.arms[arm].shipped_samples:
        verdicts = shipped_verdicts(study, synthetic, audit)
        audit = folder / "shipped_audit.parquet"
        write_parquet(audit, verdicts)
    return replace(files, synthetic=synthetic, audit=audit)


def steps_like(study: Study, arm: str, files: TrainingFiles) -> int | None:
    """Optimiser steps an epoch of an arm that takes as many as another; None: as its own sampler says."""
    other = study.arms[arm].steps_like
    return None if other is None else steps_on_real_images(study.params(other, 0).classifier, files)


def steps_on_real_images(knobs: ClassifierParams, files: TrainingFiles) -> int:
    """Optimiser steps an epoch of the real images, repeated as the knobs say."""
    real = load_training_data(files.images, files.labels, files.classes)
    return steps_of_epoch(sampling_factors(knobs, real.targets[real.train]), knobs.batch_size)


def shipped_verdicts(study: Study, synthetic: Path, audit: Path) -> pd.DataFrame:
    """The verdicts on the samples that the params file itself would have drawn; a study draws more.

    They are what it would have drawn, because a sample depends on its finding and number only, and its verdict is the
    same too, but for one case: it was a twin of an earlier sample of another finding that would not have been drawn.
    """
    labels = read_parquet(study.data / "labels/labels.parquet", ["image", "split", "projection"])
    classes = read_classes(study.data / "labels/classes.json")
    rows = training_rows(labels, classes, list(ShardedImages(study.data / "images/diffusion").index["image"]))
    samples = read_parquet(synthetic / "samples.parquet", ["sample", "target"])
    shipped = samples[first_samples(samples["target"], rows, load_params(study.root_params).sampling)]
    verdicts = read_parquet(audit, ["sample", "accepted", "rank"])
    return verdicts[verdicts["sample"].isin(shipped["sample"])].reset_index(drop=True)
