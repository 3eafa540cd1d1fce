"""Labelled images and the models' probabilities for them: the input of all metrics of an evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from trcgl.metrics import per_class_table


@dataclass(frozen=True)
class Scored:
    """Labels and probabilities of N images and C findings.

    Attributes:
        labels: [N, C] of 1, 0 or NaN.
        scores: model -> [N, C].
        thresholds: model -> [C].
        patients: [N]; they are never written to an output.
        classes: [C] rows: name, group.
        weights: [N] of the images at the training prevalence; see `trcgl.metrics.prevalence_weights`.
    """

    labels: np.ndarray
    scores: Mapping[str, np.ndarray]
    thresholds: Mapping[str, Sequence[float]]
    patients: np.ndarray
    classes: pd.DataFrame
    weights: np.ndarray

    def part(self, rows: np.ndarray) -> "Scored":
        """Some of the images.

        Args:
            rows: bool [N].
        """
        scores = {model: values[rows] for model, values in self.scores.items()}
        return replace(
            self, labels=self.labels[rows], scores=scores, patients=self.patients[rows], weights=self.weights[rows]
        )

    def per_class(self, model: str) -> pd.DataFrame:
        """Metrics of a model, one row per finding; see `per_class_table`."""
        return per_class_table(
            self.labels,
            self.scores[model],
            self.classes["name"].tolist(),
            self.classes["group"].tolist(),
            self.thresholds[model],
            self.weights,
        )
