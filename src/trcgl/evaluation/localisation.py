"""Localisation table: how well maps point at findings, per finding, then as means over each group and over all."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from trcgl.artifacts.places import FRAME
from trcgl.classifier.network.model import Classifier
from trcgl.evaluation.bootstrap import Interval, bootstrap_interval, mean_of_defined
from trcgl.evaluation.places import Places, find_places, mean_masks
from trcgl.evaluation.pointing import is_hit, judge, judge_model
from trcgl.evaluation.split import EvaluationSet
from trcgl.metrics import GROUPS

MEAN, ALL = "(mean)", "all"
COLUMNS = (
    "model", "method", "finding", "group", "images", "pointing", "low", "high", "iou", "centre", "iou_low", "iou_high"
)  # fmt: skip


def localise(
    models: Mapping[str, Classifier],
    data: EvaluationSet,
    lesions: pd.DataFrame,
    weights: np.ndarray,
    resize: str,
    training: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Content of metrics/localisation.csv: class maps and Grad-CAM of every model, and a baseline without a model.

    Args:
        lesions: image, finding, mask (PNG); empty if the data set has no known positions.
        weights: [1 + B, N] of the images, from `image_weights`.
        resize: how images were made square; masks are changed in the same way.
        training: image and one column per finding (1, 0, missing) of the training images. The mean mask of a finding
            over these images shows which result its usual position alone gives (model `none`, method
            `mean_training_mask`). For a finding without a mask in a training image this is NaN and left out of the
            means. None: the table has no such rows; the same holds if no training image has a mask.
    """
    findings, groups = data.classes["name"].tolist(), data.classes["group"].tolist()
    places = find_places(lesions, data.names, data.labels, findings, resize)
    judged = {}
    if len(places.rows):
        for name, model in models.items():
            judged |= {(name, method): found for method, found in judge_model(model, data.images, places).items()}
        if training is not None:
            labels = training[findings].to_numpy(dtype=np.float32, na_value=np.nan)
            usual = mean_masks(lesions, training["image"].tolist(), labels, findings, resize)
            if not np.isnan(usual).all():
                judged["none", "mean_training_mask"] = judge(usual, places.columns, places)
    return localisation_table(judged, places, weights, data.patients, findings, groups)


def localisation_table(
    judged: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]],
    places: Places,
    weights: np.ndarray,
    patients: np.ndarray,
    findings: Sequence[str],
    groups: Sequence[str],
) -> pd.DataFrame:
    """One row per model, method and finding with a mask, then the means over the findings of each group and of all.

    Args:
        judged: (model, method) -> hits and overlaps from `judge`.
        weights: [1 + B, N] of the images, from `image_weights`; used for each 95 % interval.
        patients: [N] of the images. If a method hits every image of a finding, or none, all resamples say the same, so
            the bound is the exact one for as many patients (Clopper and Pearson, 1934).
        findings, groups: [C].

    Returns:
        COLUMNS: number of different images with a mask, pointing-game accuracy with its interval, mean overlap with its
        interval, and the accuracy of always pointing at the centre. A finding for which a method has no value is left
        out of all of that method's means.
    """
    middle = (FRAME - 1) / 2
    centre = np.array([is_hit((middle, middle), mask) for mask in places.masks], dtype=np.float64)
    present = [c for c in range(len(findings)) if (places.columns == c).any()]
    rows = []
    for (model, method), (hits, overlaps) in judged.items():
        means = {}
        for c in present:
            chosen = places.columns == c
            times = weights[:, places.rows[chosen]].astype(np.float64)
            with np.errstate(invalid="ignore"):
                sums = np.stack([times @ value[chosen] for value in (hits, overlaps, centre)])
                means[c] = sums / times.sum(axis=1)
            rows.append(_row(model, method, findings[c], groups[c], places.rows[chosen], patients, means[c]))
        for group in (*GROUPS, ALL):
            # Without a mask in a training image, a finding has no usual position
            members = [c for c in present if group in (groups[c], ALL) and not np.isnan(means[c][0, 0])]
            if members:
                marked = places.rows[np.isin(places.columns, members)]
                stacked = np.stack([means[c] for c in members])
                value = np.stack([mean_of_defined(stacked[:, i]) for i in range(stacked.shape[1])])
                rows.append(_row(model, method, MEAN, group, marked, patients, value))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(
    model: str, method: str, finding: str, group: str, images: np.ndarray, patients: np.ndarray, values: np.ndarray
) -> tuple[object, ...]:
    """A row of the table.

    Args:
        images: rows of the images with a mask.
        patients: [N] of all images.
        values: [3, 1 + B], pointing, overlap and centre: first without resampling, then of the resamples.
    """
    pointing, iou, centre = values[:, 0].tolist()
    hit, area = bootstrap_interval(values[0]), bootstrap_interval(values[1])
    if pointing in (0, 1):
        count = len(np.unique(patients[images]))
        exact = binomtest(round(pointing * count), count).proportion_ci(0.95, method="exact")
        hit = Interval(exact.low, exact.high)
    shown = len(np.unique(images))
    return model, method, finding, group, shown, pointing, hit.low, hit.high, iou, centre, area.low, area.high
