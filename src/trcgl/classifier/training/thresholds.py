"""The probability from which a finding counts as present, chosen class by class on validation images."""

import numpy as np
from sklearn.metrics import precision_recall_curve

from trcgl.runtime.rounding import rounded


def tune_thresholds(targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The threshold with the best F1 for each class.

    Args:
        targets: [N, C] of 1, 0 and NaN (left out).
        probabilities: [N, C].

    Returns:
        float64 [C] in 0..1. A threshold is halfway between the two scores that it separates, so that a difference in
        the last bit on another machine does not move an image across it; 0.5 for a class without a known positive or
        without a known negative. Rounded, so that the saved file has few digits and the model in memory has the same
        values. Scores in single precision differ by more than this rounding.
    """
    return np.array([_best_f1(targets[:, c], probabilities[:, c]) for c in range(targets.shape[1])])


def _best_f1(target: np.ndarray, probability: np.ndarray) -> float:
    known = ~np.isnan(target)
    target, probability = target[known], probability[known].astype(np.float64)
    if not 0 < target.sum() < len(target):
        return 0.5
    precision, recall, scores = precision_recall_curve(target, probability)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(f1[:-1].argmax())
    below = scores[best - 1] if best else 0.0
    return rounded((below + scores[best]) / 2)
