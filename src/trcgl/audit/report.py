"""The scalars of metrics/synthetic.json: few, to be compared across commits."""

import pandas as pd

from trcgl.audit.per_class import verdict_counts
from trcgl.audit.run import Audit
from trcgl.metrics import nan_mean


def audit_metrics(audit: Audit) -> dict[str, float | int]:
    """Counts over all samples, and means over the tail findings that have a value; NaN where none has.

    detector_auc_ratio is the independent detector's AUC for drawn samples, against images without the finding, over
    its AUC for real images: 1 where samples show the finding as clearly as real images do.
    """
    table = audit.per_class
    columns = ("drawn", "accepted", "kid", "ms_ssim", "detector_auc_real", "detector_auc_drawn", "detector_seen")
    value = {name: table[name] if name in table else pd.Series(dtype="float64") for name in columns}
    counts = verdict_counts(audit.verdicts)
    return {
        **counts,
        "acceptance": counts["accepted"] / counts["drawn"] if counts["drawn"] else float("nan"),
        "lowest_acceptance": float((value["accepted"] / value["drawn"]).min()),
        "decided_findings": int(audit.tests["decides"].sum()),
        "kid": nan_mean(value["kid"]),
        "ms_ssim": nan_mean(value["ms_ssim"]),
        "detector_auc_ratio": nan_mean(value["detector_auc_drawn"] / value["detector_auc_real"]),
        "detector_seen": nan_mean(value["detector_seen"]),
    }
