"""Calibration: a slope and an offset per finding, fitted on validation images, turn logits into reliable probabilities.

Platt scaling (Probabilities for SV machines, in Advances in Large Margin Classifiers, 2000), with three changes for
rare findings:
- Images are weighted as if all findings were as frequent as in the training set. The validation split may hold more of
  the rare ones, and repeating rare images in training raised their predicted probabilities.
- The slope has a prior, so that a dozen positives cannot change it much.
- The slope is positive, so that the ranking of the images, and with it AP and AUC, stays the same.
"""

import numpy as np
from scipy.optimize import minimize

from trcgl.classifier.network.scaling import Scaling
from trcgl.runtime.rounding import rounded

PRIOR = 5.0
"""Weight of (slope - 1)^2, which is added to the sum of the images' losses. Of 0, 1, 5, 20 and 100 this was
best or near the best in five-fold cross-validation on validation images of two models (studies/notebook.md)."""
LEAST_SLOPE = 0.05
NEAREST = 1e-7
"""Probabilities are clipped to NEAREST..1 - NEAREST; closer to 1, float32 has no values in between."""


def fit_scalings(targets: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> list[Scaling]:
    """The scaling of every class.

    Args:
        targets: [N, C] of 1, 0 and NaN (left out).
        probabilities: [N, C], not calibrated.
        weights: [N] of the images at the training prevalence; see `trcgl.metrics.prevalence_weights`.

    Returns:
        Rounded values, so that the saved file has few digits and the model in memory has the same values. For a class
        without a known positive or a known negative, the scaling that changes nothing.
    """
    return [_fit(targets[:, c], probabilities[:, c], weights) for c in range(targets.shape[1])]


def _fit(target: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> Scaling:
    known = ~np.isnan(target)
    target, probability, weights = target[known], probability[known].astype(np.float64), weights[known]
    if not 0 < target.sum() < len(target):
        return Scaling()
    probability = probability.clip(NEAREST, 1 - NEAREST)
    logit = np.log(probability / (1 - probability))

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        slope, offset = values
        scaled = slope * logit + offset
        costs = weights * np.logaddexp(0, np.where(target == 1, -scaled, scaled))
        residual = weights * (np.exp(-np.logaddexp(0, -scaled)) - target)
        gradient = np.array([residual @ logit + 2 * PRIOR * (slope - 1), residual.sum()])
        return float(costs.sum() + PRIOR * (slope - 1) ** 2), gradient

    found = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(LEAST_SLOPE, None), (None, None)],
        options={"gtol": 1e-8, "ftol": 1e-14},
    )  # fmt: skip
    slope, offset = found.x.tolist()
    return Scaling(rounded(slope), rounded(offset))
