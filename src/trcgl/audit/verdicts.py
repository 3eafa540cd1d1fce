"""From scores and distances to one verdict per sample, with every reason that applies."""

import numpy as np
import pandas as pd

from trcgl.audit.limits import Limits

COPY = "copy of a real image"
NOT_SEEN = "target finding not seen"
INVENTED = "other finding invented"
OUTLIER = "unlike real images"
TWIN = "twin of another sample"
REASONS = {"copy": COPY, "finding": NOT_SEEN, "invented": INVENTED, "outlier": OUTLIER, "twin": TWIN}
"""Short name -> reason, in order of weight: the first that applies decides."""
NOT_JUDGED = "target finding not judged"


def judge_samples(
    samples: pd.DataFrame, scores: np.ndarray, tests: pd.DataFrame, distances: pd.DataFrame, limits: Limits
) -> pd.DataFrame:
    """Decide sample by sample.

    Args:
        samples: sample, target, findings (all that its prompt names), unknown (that it may show all the same).
        scores: [N, C] the judge's probabilities, C in the order of `tests`.
        tests: from `finding_tests`.
        distances: from `sample_distances`, in the order of `samples`.

    Returns:
        sample, target, accepted, reason ("" when accepted), reasons (all that apply, joined by "; "), flag (what the
        judge suspects and is not good enough to decide, or "" ), rank (1: of its target's samples the one where the
        judge sees it best), target_score, target_threshold (NaN where the finding could not be judged), invented (the
        findings, joined by ", "), and the columns of `distances`.
    """
    position = {finding: c for c, finding in enumerate(tests.index)}
    columns = np.array([position[target] for target in samples["target"]], dtype=np.int64)
    target_score = scores[np.arange(len(samples)), columns].astype(np.float64)
    threshold = tests["threshold"].to_numpy()[columns]
    decides = tests["decides"].to_numpy(dtype=bool)
    allowed = np.zeros(scores.shape, dtype=bool)
    for row, lists in enumerate(zip(samples["findings"], samples["unknown"], strict=True)):
        allowed[row, [position[finding] for findings in lists for finding in findings]] = True
    invented = ~allowed & decides & (scores > tests["invented_threshold"].to_numpy())

    not_seen = target_score < threshold
    measured = {name: values.to_numpy() for name, values in distances.items()}
    applies = {
        COPY: limits.near(measured["pixel_distance"], measured["feature_distance"]),
        NOT_SEEN: not_seen & decides[columns],
        INVENTED: invented.any(axis=1),
        OUTLIER: measured["neighbour_distance"] > limits.neighbour,
        TWIN: limits.near(measured["twin_pixel_distance"], measured["twin_feature_distance"]),
    }
    table = np.stack([applies[reason] for reason in REASONS.values()], axis=1)
    reasons = [[reason for reason, there in zip(REASONS.values(), row, strict=True) if there] for row in table]
    flag = np.select([np.isnan(threshold), not_seen & ~decides[columns]], [NOT_JUDGED, NOT_SEEN], "")
    rank = pd.Series(target_score).groupby(samples["target"].to_numpy()).rank(method="first", ascending=False)
    verdicts = pd.DataFrame(
        {
            "sample": samples["sample"].to_numpy(),
            "target": samples["target"].to_numpy(),
            "accepted": ~table.any(axis=1),
            "reason": pd.Series([found[0] if found else "" for found in reasons], dtype="str"),
            "reasons": pd.Series(["; ".join(found) for found in reasons], dtype="str"),
            "flag": pd.Series(flag, dtype="str"),
            "rank": rank.astype("int64"),
            "target_score": target_score,
            "target_threshold": threshold,
            "invented": pd.Series([", ".join(tests.index[row]) for row in invented], dtype="str"),
        }
    )
    return pd.concat([verdicts, distances.reset_index(drop=True)], axis=1)
