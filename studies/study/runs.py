"""What the runs of a study train on."""

from dataclasses import replace
from pathlib import Path

from study.arms import SHIPPED, Arm, Study
from study.films import IMAGES, LABELS
from study.folds import CLASSES, GRAPH, MADE_TAIL, MORE_LABELS, PLACES
from study.pools import AUDIT
from study.pools import IMAGES as POOL_IMAGES
from trcgl.classifier.training.data import load_training_data
from trcgl.classifier.training.run import TrainingFiles
from trcgl.classifier.training.sampling import sampling_factors, steps_of_epoch
from trcgl.config import ClassifierParams


def real_files(data: Path) -> TrainingFiles:
    """The real images of a pipeline's data folder."""
    return TrainingFiles(
        images=data / "images/classifier",
        labels=data / "labels/labels.parquet",
        classes=data / "labels/classes.json",
        graph=data / "graph/cooccurrence.npz",
    )


def arm_files(study: Study, arm: str, seed: int, knobs: ClassifierParams) -> TrainingFiles:
    """The files that an arm, with its knobs, trains on."""
    files = real_files(study.data)
    if knobs.extra_source == "none":
        return files
    generator = study.folder / f"runs/generator-{seed}"
    audit = SHIPPED if study.arms[arm].shipped_samples else "synthetic_audit.parquet"
    return replace(files, synthetic=generator / "synthetic", audit=generator / audit)


def fold_files(study: Study, arm: str, fold: int, seed: int) -> TrainingFiles:
    """The files that an arm trains on in one fold of a study in folds."""
    data, entry = study.data, study.arms[arm]
    mine = data / f"fold{fold}" / (MADE_TAIL if entry.made_tail else "")
    files = TrainingFiles(
        images=data / IMAGES,
        labels=mine / (MORE_LABELS if entry.more_films else LABELS),
        classes=data / CLASSES,
        graph=mine / GRAPH,
        places=data / PLACES if entry.boxes else None,
    )
    return _with_pool(files, study, entry, f"{fold}-{seed}")


def fold_steps(study: Study, arm: str, fold: int) -> int | None:
    """As `steps_like`, for a study in folds."""
    if (other := study.arms[arm].steps_like) is None:
        return None
    return steps_on_real_images(study.arm_params(other, 0).classifier, fold_files(study, other, fold, 0))


def replicate_files(study: Study, arm: str, seed: int) -> TrainingFiles:
    """The files that an arm trains on in a study of replicates; classes and label graph are always the replicate's."""
    files, entry = real_files(study.data), study.arms[arm]
    if entry.films is not None:
        folder = study.data.parent / entry.films
        files = replace(files, images=folder / IMAGES, labels=folder / LABELS)
    return _with_pool(files, study, entry, seed)


def _with_pool(files: TrainingFiles, study: Study, arm: Arm, run: int | str) -> TrainingFiles:
    if arm.extra is None:
        return files
    pool = study.pool_of(arm.extra, run)
    return replace(files, synthetic=pool / POOL_IMAGES, audit=pool / AUDIT)


def steps_like(study: Study, arm: str, files: TrainingFiles) -> int | None:
    """Optimiser steps per epoch of an arm that copies the number from another arm; None: its own sampler decides.

    Args:
        files: the real images, which the other arm trains on.
    """
    other = study.arms[arm].steps_like
    return None if other is None else steps_on_real_images(study.arm_params(other, 0).classifier, files)


def steps_on_real_images(knobs: ClassifierParams, files: TrainingFiles) -> int:
    """Optimiser steps per epoch on the real images, with the repeats that the knobs ask for."""
    real = load_training_data(files.images, files.labels, files.classes)
    return steps_of_epoch(sampling_factors(knobs, real.targets[real.train]), knobs.batch_size)
