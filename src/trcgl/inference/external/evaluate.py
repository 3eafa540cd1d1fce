"""Evaluate saved classifiers on an external test set, from files to metrics. Nothing is tuned on this set."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trcgl.artifacts.pixels import StoredPixels
from trcgl.artifacts.preparation import Preparation
from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.network.backbone import have_seen
from trcgl.classifier.network.model import Classifier, preparation_of
from trcgl.config import ComputeParams, EvaluationParams
from trcgl.evaluation.bootstrap import bootstrap_interval, image_weights
from trcgl.evaluation.localisation import localise
from trcgl.evaluation.resampled import resample_models
from trcgl.evaluation.scored import Scored
from trcgl.evaluation.split import EvaluationSet
from trcgl.evaluation.subgroups import subgroup_table
from trcgl.evaluation.views import views
from trcgl.images.cache import write_cache
from trcgl.inference.ensemble import average_weights, check_alike, ensemble_predict, ensemble_thresholds
from trcgl.inference.external.external_set import ExternalSet, evaluation_set
from trcgl.inference.external.result import ExternalResult
from trcgl.labels.table import LabelTable
from trcgl.metrics import prevalence_weights, summary
from trcgl.numerics.device import pick_device
from trcgl.runtime.cores import usable_cores
from trcgl.runtime.errors import some_of
from trcgl.runtime.files import read_parquet
from trcgl.runtime.logging import get_logger

log = get_logger("evaluate")

SHARD_IMAGES = 1024
MODEL = "model"


def evaluate_external(
    folders: Sequence[Path], external: ExternalSet, params: EvaluationParams, compute: ComputeParams, *, combine: str
) -> ExternalResult:
    """Score one saved classifier, or several as one, on an external set.

    Images are decoded, windowed and resized as in the model's training, and stored in a temporary cache. Findings are
    matched by exact name. A finding that the labels do not have is unknown in every image and is not scored. Thresholds
    are those of the model. ECE, Brier score and AP_prevalence are at the prevalence of the set.

    Args:
        folders: folders of saved classifiers.
        external: the test set.
        params: how to evaluate.
        compute: device, and number of decoding processes.
        combine: what is averaged if there are several models: `probabilities` or `weights`.

    Raises:
        InputError: a model, the label table or the image folder cannot be used, or nothing is left to score.
    """
    models = _load(folders, external.dataset, compute, combine)
    first, model = next(iter(models.items()))
    config, preparation = model.config, preparation_of(model, first)
    table, selected = external.read()
    external.check_findings(config, table, first)
    # Before the long computation, so that an error in the boxes is reported first
    places = external.places_of(selected, table, config, preparation.resize)
    with tempfile.TemporaryDirectory(prefix="trcgl-evaluate-") as temporary:
        table, images = _cached(table, selected, external.images, config.image_size, preparation, compute, temporary)
        data = evaluation_set(table, images, config)
        weights = image_weights(data.patients, params.bootstrap_samples)
        scored = _score(list(models.values()), data, params)
        per_class = scored.per_class(MODEL)
        numbers = _numbers(scored, per_class, weights)
        subgroups = subgroup_table(scored, data.about, params).drop(columns="model")
        located = None if places is None else localise(models, data, places, weights, preparation.resize)
    counts = {
        "models": [str(folder) for folder in folders],
        "combine": combine if len(folders) > 1 else None,
        "dataset": external.dataset,
        "split": external.split,
        "projections": external.projections,
        "excluded": external.excluded,
        "rows": table.source_rows,
        "images": len(table.rows),
        "patients": int(table.rows["patient"].nunique()),
        "rejected": {str(reason): int(count) for reason, count in table.rejected["reason"].value_counts().items()},
        "findings_without_labels": [name for name in config.class_names if name not in table.vocabulary],
        "labels_without_finding": [n for n in table.vocabulary if n not in {*config.class_names, table.normal}],
    }
    return ExternalResult(counts | numbers, per_class, subgroups, table.rejected, located)


def _load(folders: Sequence[Path], dataset: str, compute: ComputeParams, combine: str) -> dict[str, Classifier]:
    """The models to score, by name: those of the folders, or the one with their mean weights."""
    models = {str(folder): Classifier.load(folder).to(pick_device(compute.device)) for folder in folders}
    names = list(models)
    check_alike(list(models.values()), names)
    _say_other_groups(models)
    for name, model in models.items():
        if have_seen(model.config.weights_have_seen, dataset):
            log.warning(
                "%s has seen '%s' in training (or its initial weights have): results on images seen in training do not "
                "hold for new patients",
                name,
                dataset,
            )
    if combine == "weights":
        return {" + ".join(names): average_weights(list(models.values()), names)}
    return models


def _say_other_groups(models: Mapping[str, Classifier]) -> None:
    """Warn if the models were trained on data in which findings are of other groups (head, medium, tail)."""
    first, *others = models
    groups = models[first].config.class_groups
    for name in others:
        config = models[name].config
        pairs = zip(config.class_names, config.class_groups, groups, strict=True)
        if differ := [finding for finding, own, used in pairs if own != used]:
            log.warning(
                "%s groups findings (head, medium, tail) otherwise than %s: %s; means over groups are of the groups of "
                "%s", name, first, some_of(differ), first,
            )  # fmt: skip


def _cached(
    table: LabelTable,
    selected: pd.DataFrame,
    source: Path,
    size: int,
    preparation: Preparation,
    compute: ComputeParams,
    temporary: str,
) -> tuple[LabelTable, StoredPixels]:
    """The rows whose image can be read, and their pixels, prepared as in `cache_images`."""
    cache, workers = Path(temporary) / "images", compute.workers or usable_cores()
    kept = Path(temporary) / "kept"
    write_cache(selected, source, {"images": size}, preparation, SHARD_IMAGES, cache, workers, kept=kept)
    unreadable = read_parquet(cache / "unreadable.parquet", ["path", "reason"])
    reasons = dict(zip(unreadable["path"], unreadable["reason"], strict=True))
    said = [f"unreadable: {reasons[path]}" if path in reasons else "" for path in selected["path"]]
    table = table.reject(np.array(said, dtype=object))
    shards = ShardedImages(cache / "images")
    return table, StoredPixels(shards, table.rows["image"].tolist())


def _score(models: Sequence[Classifier], data: EvaluationSet, params: EvaluationParams) -> Scored:
    """The models' scores, combined into one model's."""
    thresholds = ensemble_thresholds(models)
    return Scored(
        labels=data.labels,
        scores={MODEL: ensemble_predict(models, data.images, views(params))},
        thresholds={MODEL: [thresholds[name] for name in data.classes["name"]]},
        patients=data.patients,
        classes=data.classes,
        weights=prevalence_weights(data.labels, data.classes["prevalence"].tolist()),
    )


def _numbers(scored: Scored, per_class: pd.DataFrame, weights: np.ndarray) -> dict[str, Any]:
    """Means, intervals and the number of scored findings."""
    means = resample_models(scored, weights)[MODEL].means(scored.classes["group"].to_numpy())
    intervals = {key: bootstrap_interval(means[key]) for key in ("mAP", "tail_mAP")}
    return {
        "scored_classes": int(per_class["AP"].notna().sum()),
        "result": summary(per_class),
        "intervals": {key: [interval.low, interval.high] for key, interval in intervals.items()},
    }
