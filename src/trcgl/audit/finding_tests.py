"""The judge's test of each finding: its AUC on validation images, and the score from which it says yes."""

import numpy as np
import pandas as pd

from trcgl.config import AuditParams
from trcgl.metrics import area_under_roc


def finding_tests(scores: np.ndarray, labels: pd.DataFrame, params: AuditParams) -> pd.DataFrame:
    """Tests from the validation split.

    Both thresholds are percentiles of the images *without* the finding. So the share of images with a wrong finding
    that pass is known in advance, whatever the prevalence and the AUC. A percentile of the positives, or Youden's
    point, would at an AUC of 0.95 let some 12 to 15 % of them pass (two normal distributions of equal width), and rests
    on the few positives of a rare finding.

    Args:
        scores: [N, C] the judge's probabilities of real validation images.
        labels: float [N, C] of 1, 0 or NaN (unknown), columns by finding.

    Returns:
        By finding: positives, auc, decides (whether the judge is good enough to reject), threshold (from which the
        target counts as seen), invented_threshold (above which a finding that was not asked for counts as seen).
        Without a positive or a negative: NaN, and nothing is decided.
    """
    rows = []
    for c, finding in enumerate(labels):
        known = labels[finding].to_numpy()
        auc = area_under_roc(known, scores[:, c])
        without = scores[known == 0, c]
        percentiles = (params.target_percentile, params.invented_percentile)
        threshold, invented = np.percentile(without, percentiles) if not np.isnan(auc) else (np.nan, np.nan)
        rows.append(
            {
                "positives": int(np.nansum(known)),
                "auc": auc,
                "decides": auc >= params.judge_min_auc,
                "threshold": float(threshold),
                "invented_threshold": float(invented),
            }
        )
    return pd.DataFrame(rows, index=labels.columns)
