"""Saved classifiers on a test set from elsewhere: its own label table and its own image folder, nothing tuned on it."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trcgl.artifacts.pixels import Pixels, StoredPixels
from trcgl.artifacts.preparation import Preparation
from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.network.model import Classifier
from trcgl.config import ComputeParams, EvaluationParams
from trcgl.evaluation.bootstrap import percentile_interval
from trcgl.evaluation.differences import resample_models
from trcgl.evaluation.localisation import ALL, MEAN, judge_model, localisation_table
from trcgl.evaluation.places import Places, box_lesions, find_places
from trcgl.evaluation.views import views
from trcgl.images.cache import write_cache
from trcgl.images.manifest import scan_images
from trcgl.inference.ensemble import average_weights, check_alike, ensemble_predict, ensemble_thresholds
from trcgl.labels.adapters import read_table
from trcgl.labels.merging import merge_labels
from trcgl.labels.nih_boxes import BOX_SIDE, read_nih_boxes
from trcgl.labels.selection import match_files
from trcgl.labels.table import UNKNOWN, LabelTable, first_reason
from trcgl.metrics import per_class_table, summary
from trcgl.numerics.device import pick_device
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import write_csv, write_json
from trcgl.runtime.logging import get_logger

log = get_logger("evaluate")

SHARD_IMAGES = 1024


@dataclass(frozen=True)
class ExternalSet:
    """Which test set, and which part of it.

    Attributes:
        dataset: how the label table is read, as `dataset.name`.
        images: folder of the images.
        labels: label table.
        projections: views that are used; None: all.
        excluded: labels whose images are left out.
        class_table: merges fine labels into classes, as `labels.class_table`; None: labels as they are.
        boxes: NIH's list of boxes, for localisation; None: none.
    """

    dataset: str
    images: Path
    labels: Path
    projections: tuple[str, ...] | None = None
    excluded: tuple[str, ...] = ()
    class_table: Path | None = None
    boxes: Path | None = None


@dataclass(frozen=True)
class ExternalResult:
    """What was found.

    Attributes:
        metrics: counts, the block of means, intervals; for metrics.json.
        per_class: as metrics/per_class.csv, without `model`.
        rejected: row, image, reason of every row that was not scored.
        localisation: as metrics/localisation.csv, one model a folder; None without boxes.
    """

    metrics: dict[str, Any]
    per_class: pd.DataFrame
    rejected: pd.DataFrame
    localisation: pd.DataFrame | None

    def write(self, folder: Path) -> None:
        """Write metrics.json and a CSV for each of the others into `folder`; other files in it stay."""
        write_json(folder / "metrics.json", self.metrics)
        write_csv(folder / "per_class.csv", self.per_class)
        write_csv(folder / "rejected.csv", self.rejected)
        if self.localisation is not None:
            write_csv(folder / "localisation.csv", self.localisation)


def evaluate_external(
    folders: Sequence[Path], external: ExternalSet, params: EvaluationParams, compute: ComputeParams, *, combine: str
) -> ExternalResult:
    """Score one saved classifier, or several as one, on an external set.

    Images are decoded, windowed and resized as the model's own were, into a temporary cache; findings are matched by
    exact name. A finding that the labels do not have is unknown everywhere and scored nowhere. Thresholds are the
    model's. ECE and Brier are at the set's own prevalence.

    Args:
        folders: of saved classifiers.
        compute: device, and processes that decode.
        combine: `probabilities` or `weights`: what is averaged if there are several.

    Raises:
        InputError: a model, the table or the folder cannot be used, or nothing is left to score.
    """
    names = [str(folder) for folder in folders]
    models = [Classifier.load(folder).to(pick_device(compute.device)) for folder in folders]
    check_alike(models, names)
    preparation = _preparation(models[0], names[0])
    for model, name in zip(models, names, strict=True):
        if external.dataset in model.config.weights_have_seen:
            log.warning(
                "%s has seen '%s' in training (or its initial weights have): results on images it has seen are not "
                "those of unseen patients",
                name,
                external.dataset,
            )
    if combine == "weights":
        models, names = [average_weights(models, names)], [" + ".join(names)]
    boxes = None if external.boxes is None else read_nih_boxes(external.boxes)
    table, selected = _selected(external)
    findings = models[0].config.class_names
    _check_findings(findings, table, external, names[0])
    with tempfile.TemporaryDirectory(prefix="trcgl-evaluate-") as temporary:
        cache = Path(temporary) / "images"
        size, workers = models[0].config.image_size, compute.workers or os.cpu_count() or 1
        write_cache(
            selected, external.images, {"images": size}, preparation, SHARD_IMAGES, cache, workers,
            kept=Path(temporary) / "kept",
        )  # fmt: skip
        unreadable = pd.read_parquet(cache / "unreadable.parquet")
        reasons = dict(zip(unreadable["path"], unreadable["reason"], strict=True))
        said = [f"unreadable: {reasons[path]}" if path in reasons else "" for path in selected["path"]]
        table = table.reject(np.array(said, dtype=object))
        pixels = StoredPixels(
            ShardedImages(cache / "images"), table.rows["image"].tolist(), np.empty((0, size, size), np.uint8)
        )
        labels = _labels(models[0], table)
        metrics, per_class = _scored(models, pixels, labels, table, params)
        located = None
        if boxes is not None:
            lesions = _lesions(boxes, table, models[0].config.class_names)
            places = find_places(
                lesions, table.rows["image"].tolist(), labels, models[0].config.class_names, preparation.resize
            )
            located = _located(dict(zip(names, models, strict=True)), pixels, places, table, params)
    metrics = {
        "models": [str(folder) for folder in folders],
        "combine": combine if len(folders) > 1 else None,
        "dataset": external.dataset,
        "rows": table.source_rows,
        "images": len(table.rows),
        "patients": int(table.rows["patient"].nunique()),
        "rejected": {str(reason): int(count) for reason, count in table.rejected["reason"].value_counts().items()},
        "findings_without_labels": [name for name in findings if name not in table.vocabulary],
        "labels_without_finding": [name for name in table.vocabulary if name not in {*findings, table.normal}],
    } | metrics
    return ExternalResult(metrics, per_class, table.rejected, located)


def short_table(result: ExternalResult) -> str:
    """What is printed: counts, means with intervals, and a line a finding."""
    found = result.metrics
    lines = [
        f"{found['images']} images of {found['patients']} patients; {len(result.rejected)} of {found['rows']} rows "
        "not scored" + "".join(f"\n  {count} {reason}" for reason, count in found["rejected"].items()),
        _listed("findings of the model that the labels do not have", found["findings_without_labels"]),
        _listed("labels that the model does not know", found["labels_without_finding"]),
        f"{found['scored_classes']} findings scored",
        "",
    ]
    for key, value in found["result"].items():
        interval = found["intervals"].get(key)
        shown = f"  [{interval[0]:.3f}, {interval[1]:.3f}]" if interval and not np.isnan(interval[0]) else ""
        lines.append(f"{key:<12}{_number(value)}{shown}")
    width = max(len(name) for name in result.per_class["class"]) + 2
    lines += ["", f"{'finding':<{width}}{'group':<8}{'positives':>9}{'AP':>7}{'AUC':>7}{'F1':>7}"]
    for row in result.per_class.to_dict("records"):
        numbers = "".join(f"{_number(row[key]):>7}" for key in ("AP", "AUC", "F1"))
        lines.append(f"{row['class']:<{width}}{row['group']:<8}{row['positives']:>9}{numbers}")
    if result.localisation is not None:
        lines += ["", "pointing game against boxes, mean over findings"]
        means = result.localisation[(result.localisation["finding"] == MEAN) & (result.localisation["group"] == ALL)]
        lines += [
            f"{row['model']} {row['method']}: {row['pointing']:.3f} [{row['low']:.3f}, {row['high']:.3f}], centre "
            f"{row['centre']:.3f}, IoU {row['iou']:.3f} ({row['images']} positives)"
            for row in means.to_dict("records")
        ]
    return "\n".join(lines)


def _preparation(model: Classifier, name: str) -> Preparation:
    if model.config.preparation is None:
        raise InputError(
            f"{name}: config.json does not say how pictures are made from files ('preparation'); a classifier that "
            "train_classifier or train_baseline writes does"
        )
    return model.config.preparation


def _selected(external: ExternalSet) -> tuple[LabelTable, pd.DataFrame]:
    """The rows that are used and have a file, and image, path, photometric in the same order."""
    if not external.images.is_dir():
        raise InputError(f"{external.images}: no such folder; give the folder of the images with --images")
    table = read_table(external.dataset, external.labels)
    if external.projections is not None:
        present = sorted(table.rows["projection"].unique())
        unknown = [name for name in external.projections if name not in present]
        if unknown:
            listed = ", ".join(f"'{name}'" for name in present)
            raise InputError(f"--projections: {external.labels} has no projection '{unknown[0]}'; it has {listed}")
    missing = [label for label in external.excluded if label not in table.vocabulary]
    if missing:
        raise InputError(f"--exclude: {external.labels} has no label '{missing[0]}'; names must match exactly")
    paths, ambiguous = match_files(table.rows, scan_images(external.images)["path"])
    seen = external.projections
    reasons = first_reason(
        ("projection not selected", ~table.rows["projection"].isin(seen) if seen is not None else np.zeros(len(paths))),
        *((f"labelled {label}", table.having([label])) for label in external.excluded),
        ("image file is ambiguous", ambiguous),
        ("image file missing", paths == ""),
    )
    used = reasons == ""
    if not used.any():
        counts = pd.Series(reasons).value_counts()
        raise InputError(
            f"{external.labels}: no image is left of {len(reasons)} rows: "
            f"{', '.join(f'{reason}: {count}' for reason, count in counts.items())}; check --images and the filters"
        )
    table = table.reject(reasons)
    if external.class_table is not None:
        table = merge_labels(table, external.class_table)
    return table, table.rows[["image", "photometric"]].assign(path=paths[used])


def _check_findings(findings: Sequence[str], table: LabelTable, external: ExternalSet, name: str) -> None:
    if not set(findings) & set(table.vocabulary):
        raise InputError(
            f"{external.labels}: has none of the findings of {name} ({', '.join(findings[:4])}, ...), only "
            f"{', '.join(table.vocabulary[:4])}, ...; names must match exactly, or be merged by --class-table"
        )


def _labels(model: Classifier, table: LabelTable) -> np.ndarray:
    """[N, C] of 1, 0 or NaN in the order of the model's findings; NaN throughout for one that the table lacks."""
    findings = model.config.class_names
    known = [name for name in findings if name in table.vocabulary]
    labels = np.full((len(table.rows), len(findings)), np.nan)
    told = table.matrix(known).astype(np.float64)
    labels[:, [findings.index(name) for name in known]] = np.where(told == UNKNOWN, np.nan, told)
    return labels


def _lesions(boxes: pd.DataFrame, table: LabelTable, findings: Sequence[str]) -> pd.DataFrame:
    """Places of the boxes that lie on scored images and on findings of the model."""
    used = boxes[boxes["image"].isin(table.rows["image"]) & boxes["finding"].isin(list(findings))]
    log.info("%d of %d boxes are of these images and findings", len(used), len(boxes))
    return box_lesions(used, BOX_SIDE)


def _located(
    models: dict[str, Classifier],
    pixels: Pixels,
    places: Places,
    table: LabelTable,
    params: EvaluationParams,
) -> pd.DataFrame:
    """The localisation table of every model."""
    config = next(iter(models.values())).config
    judged = {}
    if len(places.rows):
        for name, model in models.items():
            judged |= {(name, method): found for method, found in judge_model(model, pixels, places).items()}
    return localisation_table(
        judged,
        places,
        table.rows["patient"].to_numpy(),
        config.class_names,
        config.class_groups,
        resamples=params.bootstrap_samples,
        seed=params.seed,
    )


def _scored(
    models: Sequence[Classifier], pixels: Pixels, labels: np.ndarray, table: LabelTable, params: EvaluationParams
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Means, intervals and the number of scored findings; the table per finding."""
    config = models[0].config
    scores = ensemble_predict(models, pixels, views(params))
    thresholds = ensemble_thresholds(models)
    counted = np.maximum((~np.isnan(labels)).sum(axis=0), 1)
    per_class = per_class_table(
        labels,
        scores,
        config.class_names,
        config.class_groups,
        [thresholds[name] for name in config.class_names],
        (np.nansum(labels, axis=0) / counted).tolist(),
        fixed_threshold=params.fixed_threshold,
        ece_bins=params.ece_bins,
    )
    resampled = resample_models(
        labels,
        {"model": scores},
        np.array(config.class_groups),
        table.rows["patient"].to_numpy(),
        resamples=params.bootstrap_samples,
        seed=params.seed,
    )["model"]
    intervals = {key: percentile_interval(resampled[key][1:]) for key in ("mAP", "tail_mAP")}
    metrics = {
        "scored_classes": int(per_class["AP"].notna().sum()),
        "result": summary(per_class),
        "intervals": {key: [interval.low, interval.high] for key, interval in intervals.items()},
    }
    return metrics, per_class


def _listed(what: str, names: Sequence[str]) -> str:
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return f"{len(names)} {what}" + (f": {shown}" if names else "")


def _number(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{value:.3f}"
