"""The values in metrics/synthetic.json: only a few, for comparison across commits."""

import pandas as pd

from trcgl.audit.per_class import verdict_counts
from trcgl.audit.run import Audit
from trcgl.metrics import nan_mean


def audit_metrics(audit: Audit) -> dict[str, float | int | str]:
    """Counts over all samples, and means over the tail findings that have a value; NaN if none has.

    unverified is the number of labels of accepted samples that the audit sets to unknown. kid_features names the frozen
    feature space of KID. detector_auc_ratio is the independent detector's AUC for all generated samples (against images
    without the finding), divided by its AUC for real images. It is 1 if samples show the finding as clearly as real
    images do.
    """
    table, verdicts = audit.per_class, audit.verdicts
    columns = (
        "drawn", "accepted", "kid", "kid_accepted", "kid_real", "ms_ssim", "detector_auc_real", "detector_auc_drawn",
        "detector_seen_accepted", "detector_seen_rejected",
    )  # fmt: skip
    value = {name: table[name] if name in table else pd.Series(dtype="float64") for name in columns}
    counts = verdict_counts(verdicts)
    return {
        **counts,
        "unverified": int(verdicts.loc[verdicts["accepted"], "unverified"].map(len).sum()),
        "acceptance": counts["accepted"] / counts["drawn"] if counts["drawn"] else float("nan"),
        "lowest_acceptance": float((value["accepted"] / value["drawn"]).min()),
        "kid_features": audit.kid_features,
        "kid": nan_mean(value["kid"]),
        "kid_accepted": nan_mean(value["kid_accepted"]),
        "kid_real": nan_mean(value["kid_real"]),
        "ms_ssim": nan_mean(value["ms_ssim"]),
        "detector_auc_ratio": nan_mean(value["detector_auc_drawn"] / value["detector_auc_real"]),
        "detector_seen_accepted": nan_mean(value["detector_seen_accepted"]),
        "detector_seen_rejected": nan_mean(value["detector_seen_rejected"]),
    }
