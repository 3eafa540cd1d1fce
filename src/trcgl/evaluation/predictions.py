"""What the models say of the test images, and the table of it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.views import predict_views
from trcgl.config import EvaluationParams
from trcgl.evaluation.scored import Scored
from trcgl.evaluation.split import EvaluationSet
from trcgl.evaluation.views import views
from trcgl.runtime.errors import InputError


def score(models: Mapping[str, Classifier], data: EvaluationSet, params: EvaluationParams) -> Scored:
    """Probabilities of every model, over as many views as the test-time knobs say, beside the labels.

    Raises:
        InputError: a model was trained on other findings than the labels have.
    """
    wanted = tuple(data.classes["name"])
    for name, model in models.items():
        if model.config.class_names != wanted:
            raise InputError(f"model '{name}' knows other findings than data/labels/classes.json; train it again")
    shown = views(params)
    return Scored(
        labels=data.labels,
        scores={name: predict_views(model, data.images, shown) for name, model in models.items()},
        thresholds={name: [model.thresholds[finding] for finding in wanted] for name, model in models.items()},
        patients=data.patients,
        classes=data.classes,
    )


def predictions_table(data: EvaluationSet, scores: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Content of data/predictions.parquet: model, image, finding, label (missing where unknown), probability."""
    findings = data.classes["name"].to_numpy()
    parts = [
        pd.DataFrame(
            {
                "model": model,
                "image": np.repeat(data.names, len(findings)),
                "finding": np.tile(findings, len(data.names)),
                "label": pd.Series(data.labels.ravel()).astype("Int8"),
                "probability": values.ravel(),
            }
        )
        for model, values in scores.items()
    ]
    return pd.concat(parts, ignore_index=True)
