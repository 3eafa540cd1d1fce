"""The judge's test of each finding: the score above which it sees the finding, and how good the test is."""

import numpy as np
import pandas as pd

from trcgl.config import AuditParams
from trcgl.metrics import area_under_roc

MIN_POSITIVES = 5
"""Smallest number of validation images with a finding. With fewer, a percentile is meaningless: no test is made."""


def finding_tests(scores: np.ndarray, labels: pd.DataFrame, params: AuditParams) -> pd.DataFrame:
    """Tests from the validation split.

    The threshold is a percentile of the scores of images *with* the finding. So a sample must show the finding at least
    as clearly as most real images do, however weak the judge is. The AUC shows how well the test separates images with
    and without the finding; no decision depends on it.

    Args:
        scores: [N, C], the judge's probabilities for real validation images.
        labels: float [N, C] of 1, 0 or NaN (unknown), columns by finding.

    Returns:
        By finding: positives; auc (NaN without a positive or a negative); threshold (a finding is seen above it; NaN
        with too few positives, so that no score is above it); invented_threshold (a finding that the prompt does not
        name is seen above both this and `threshold`; NaN without negatives).
    """
    rows = []
    for c, finding in enumerate(labels):
        known = labels[finding].to_numpy()
        shown, without = scores[known == 1, c], scores[known == 0, c]
        enough = len(shown) >= MIN_POSITIVES
        rows.append(
            {
                "positives": len(shown),
                "auc": area_under_roc(known, scores[:, c]),
                "threshold": float(np.percentile(shown, params.seen_percentile)) if enough else np.nan,
                "invented_threshold": float(np.percentile(without, params.invented_percentile)) if len(without)
                else np.nan,
            }
        )  # fmt: skip
    return pd.DataFrame(rows, index=labels.columns)
