"""AP and AUC of every finding in every resample of the patients, from which intervals and differences are computed."""

from dataclasses import dataclass

import numpy as np

from trcgl.evaluation.bootstrap import mean_of_defined
from trcgl.evaluation.ranking import Ranking
from trcgl.evaluation.scored import Scored
from trcgl.metrics import GROUPS
from trcgl.runtime.logging import get_logger

log = get_logger("evaluate")

BLOCK = 128
"""Number of weightings that are in memory as float64 at once."""


@dataclass(frozen=True)
class Resampled:
    """One model under W weightings of the images.

    Attributes:
        ap, auc: [C, W]; NaN where a finding has no positive or no negative.
    """

    ap: np.ndarray
    auc: np.ndarray

    def means(self, groups: np.ndarray) -> dict[str, np.ndarray]:
        """metric -> [W], means over the findings of all groups and of each group; NaN where no finding has a value.

        Args:
            groups: [C].
        """
        auc = {"mAUC": mean_of_defined(self.auc), "tail_mAUC": mean_of_defined(self.auc[groups == "tail"])}
        by_group = {f"{group}_mAP": mean_of_defined(self.ap[groups == group]) for group in GROUPS}
        return {"mAP": mean_of_defined(self.ap)} | auc | by_group


def resample(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> Resampled:
    """Score one set of predictions under many image weightings.

    Args:
        labels: [N, C] of 1, 0 or NaN.
        scores: [N, C].
        weights: [W, N], not negative.
    """
    rankings = [Ranking(y, p) for y, p in zip(labels.T, scores.T, strict=True)]
    found = np.empty((2, len(rankings), len(weights)))
    for start in range(0, len(weights), BLOCK):
        block = np.ascontiguousarray(weights[start : start + BLOCK].T, dtype=np.float64)
        for c, ranking in enumerate(rankings):
            found[:, c, start : start + BLOCK] = ranking.measured(block)
    return Resampled(*found)


def resample_models(scored: Scored, weights: np.ndarray) -> dict[str, Resampled]:
    """model -> result of `resample`, with the same weightings for every model.

    Args:
        weights: [1 + B, N] from `image_weights`.
    """
    if not weights[1:].any():
        log.warning("no intervals: they need patients to resample, and there is one")
    found = {}
    for model, values in scored.scores.items():
        found[model] = resample(scored.labels, values, weights)
        log.info("%s: %d findings in %d resamples of the patients", model, values.shape[1], len(weights) - 1)
    return found
