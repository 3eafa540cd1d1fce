"""Derive one verdict per sample from scores and distances, with all reasons that apply."""

import numpy as np
import pandas as pd

from trcgl.audit.limits import Limits

COPY = "copy of a training image"
NOT_SEEN = "target finding not seen"
OUTLIER = "unlike real images"
TWIN = "twin of another sample"
REASONS = {"copy": COPY, "finding": NOT_SEEN, "outlier": OUTLIER, "twin": TWIN}
"""Short name -> reason, in order of priority: the first reason that applies is the decisive one."""
NOT_JUDGED = "target finding not judged"


def judge_samples(
    samples: pd.DataFrame, scores: np.ndarray, tests: pd.DataFrame, distances: pd.DataFrame, limits: Limits
) -> pd.DataFrame:
    """Decide on each sample for all reasons except twins; `twins_rejected` then rejects twins among those accepted.

    Args:
        samples: sample, target.
        scores: [N, C], the judge's scores; the findings C are in the order of `tests`.
        tests: from `finding_tests`.
        distances: from `sample_distances`, in the order of `samples`.

    Returns:
        sample, target, accepted, reason ("" when accepted), reasons (all that apply, joined by "; "), flag (NOT_JUDGED
        or ""), rank (1: highest score among the samples of its target), target_score, target_threshold (NaN if the
        finding could not be judged), and the columns of `distances` except "copy".
    """
    position = {finding: c for c, finding in enumerate(tests.index)}
    columns = np.array([position[target] for target in samples["target"]], dtype=np.int64)
    target_score = scores[np.arange(len(samples)), columns].astype(np.float64)
    threshold = tests["threshold"].to_numpy()[columns]
    applies = {
        COPY: distances["copy"].to_numpy(),
        NOT_SEEN: target_score <= threshold,
        OUTLIER: distances["neighbour_distance"].to_numpy() > limits.neighbour,
    }
    reasons = [[reason for reason in applies if applies[reason][row]] for row in range(len(samples))]
    rank = pd.Series(target_score).groupby(samples["target"].to_numpy()).rank(method="first", ascending=False)
    verdicts = pd.DataFrame(
        {
            "sample": samples["sample"].to_numpy(),
            "target": samples["target"].to_numpy(),
            "accepted": np.array([not found for found in reasons], dtype=bool),
            "reason": pd.Series([found[0] if found else "" for found in reasons], dtype="str"),
            "reasons": pd.Series(["; ".join(found) for found in reasons], dtype="str"),
            "flag": pd.Series(np.where(np.isnan(threshold), NOT_JUDGED, ""), dtype="str"),
            "rank": rank.astype("int64"),
            "target_score": target_score,
            "target_threshold": threshold,
        }
    )
    return pd.concat([verdicts, distances.drop(columns="copy").reset_index(drop=True)], axis=1)


def twins_rejected(verdicts: pd.DataFrame, twins: pd.DataFrame) -> pd.DataFrame:
    """The verdicts with twins rejected, and the columns of `find_twins` except "twin"."""
    twin = twins["twin"].to_numpy()
    changed = verdicts.assign(
        accepted=verdicts["accepted"] & ~twin,
        reason=verdicts["reason"].mask(twin, TWIN),
        reasons=verdicts["reasons"].mask(twin, TWIN),
    )
    return pd.concat([changed, twins.drop(columns="twin")], axis=1)
