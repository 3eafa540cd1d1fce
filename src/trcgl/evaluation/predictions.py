"""The models' probabilities for the test images, and their table."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.views import predict_views
from trcgl.config import EvaluationParams
from trcgl.evaluation.scored import Scored
from trcgl.evaluation.split import EvaluationSet
from trcgl.evaluation.views import views
from trcgl.metrics import prevalence_weights
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger

log = get_logger("evaluate")

ROWS = 1 << 20
"""Rows of the predictions table that are in memory at once; equal to Parquet's default row group."""


def score(models: Mapping[str, Classifier], data: EvaluationSet, params: EvaluationParams) -> Scored:
    """Labels and the probabilities of every model, averaged over the views that the test-time parameters define.

    Raises:
        InputError: a model was trained on other findings than those of the labels.
    """
    wanted = tuple(data.classes["name"])
    for name, model in models.items():
        if model.config.class_names != wanted:
            raise InputError(f"model '{name}' knows other findings than data/labels/classes.json; run dvc repro")
    shown, scores = views(params), {}
    for name, model in models.items():
        scores[name] = predict_views(model, data.images, shown)
        log.info("%s: %d images scored", name, len(data.names))
    return Scored(
        labels=data.labels,
        scores=scores,
        thresholds={name: [model.thresholds[finding] for finding in wanted] for name, model in models.items()},
        patients=data.patients,
        classes=data.classes,
        weights=prevalence_weights(data.labels, data.classes["prevalence"].tolist()),
    )


def predictions_table(data: EvaluationSet, scores: Mapping[str, np.ndarray]) -> Iterator[pd.DataFrame]:
    """Content of data/predictions.parquet, in parts: model, image, finding, label (missing where unknown),
    probability."""
    findings, images = data.classes["name"].to_numpy(object), np.array(data.names, dtype=object)
    models, pairs = np.array(list(scores), dtype=object), data.labels.size
    for start in range(0, len(models) * pairs, ROWS):
        row = np.arange(start, min(start + ROWS, len(models) * pairs))
        model, pair = np.divmod(row, pairs)
        image, finding = np.divmod(pair, len(findings))
        probability = np.empty(len(row), np.float32)
        for place, values in enumerate(scores.values()):
            own = model == place
            probability[own] = values[image[own], finding[own]]
        yield pd.DataFrame(
            {
                "model": pd.Series(models[model], dtype="str"),
                "image": pd.Series(images[image], dtype="str"),
                "finding": pd.Series(findings[finding], dtype="str"),
                "label": pd.Series(data.labels[image, finding]).astype("Int8"),
                "probability": probability,
            }
        )
