"""AP and ROC AUC of one finding under many weightings of the images, which are ranked only once.

A weighting does not change the ranking. Both measures only depend on how much weight lies at each positive's score, and
how much lies between two such scores. The images are therefore assigned to these steps once, and each weighting is
evaluated as the product of a sparse matrix with its weights. The result is exact as long as the sums of the weights
are, that is for whole numbers below 2^53.
"""

import numpy as np
from scipy.sparse import csr_matrix


class Ranking:
    """The images of one finding in the order of their scores.

    K is the number of distinct scores among the positives. Tied scores form one step of the curves, as in scikit-learn.
    Unknown labels are left out.

    Args:
        labels: [N] of 1, 0 or NaN.
        scores: [N].
    """

    def __init__(self, labels: np.ndarray, scores: np.ndarray):
        known, positive = np.flatnonzero(~np.isnan(labels)), np.flatnonzero(labels == 1)
        steps = np.unique(scores[positive])
        above = [len(steps) - np.searchsorted(steps, scores, side=side) for side in ("right", "left")]
        # 0: above all positives; 2k + 1: at the score of step k; 2k: between steps k - 1 and k
        place = above[0] + above[1]
        self._seen = _sums(place[known], known, (2 * len(steps) + 1, len(labels)))
        self._hits = _sums(place[positive] // 2, positive, (len(steps), len(labels)))

    def measured(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """AP and ROC AUC under each weighting; equal to scikit-learn's with `sample_weight`.

        Args:
            weights: float64 [N, B], not negative.

        Returns:
            float64 [B] each; NaN where a weighting has no positive or no negative.
        """
        hits, places = self._hits @ weights, self._seen @ weights
        if not len(hits):
            return np.full(weights.shape[1], np.nan), np.full(weights.shape[1], np.nan)
        tied = places[1::2]
        hits_so_far, seen = hits.cumsum(axis=0), (places[:-1:2] + tied).cumsum(axis=0)
        positives = hits_so_far[-1]
        negatives = seen[-1] + places[-1] - positives
        with np.errstate(invalid="ignore", divide="ignore"):
            ap = (hits * np.where(seen > 0, hits_so_far / seen, 0.0)).sum(axis=0) / positives
            # Each positive counts the negatives below it, and half of the negatives with the same score
            below = negatives - (seen - hits_so_far) + (tied - hits) / 2
            auc = (hits * below).sum(axis=0) / (positives * negatives)
        both = (positives > 0) & (negatives > 0)
        return np.where(both, ap, np.nan), np.where(both, auc, np.nan)


def _sums(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_matrix:
    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
