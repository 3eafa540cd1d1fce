"""One row per finding: what was drawn, what the judge sees of it, and what was accepted."""

from collections.abc import Sequence

import pandas as pd

from trcgl.audit.verdicts import REASONS


def per_class_table(findings: Sequence[str], tests: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
    """One row per finding, in their order.

    Args:
        tests: from `finding_tests`.
        verdicts: of all samples.

    Returns:
        finding, the counts of `verdict_counts`, and how good the judge's test is: judge_positives (real validation
        images with the finding), judge_auc.
    """
    return pd.DataFrame(
        [
            {
                "finding": finding,
                **verdict_counts(verdicts[verdicts["target"] == finding]),
                "judge_positives": tests.at[finding, "positives"],
                "judge_auc": tests.at[finding, "auc"],
            }
            for finding in findings
        ]
    )


def verdict_counts(part: pd.DataFrame) -> dict[str, int]:
    """drawn, seen (by the judge), accepted, not_judged (of these), rejected_<reason> by the decisive reason.

    Accepted and rejected samples add up to the drawn ones.
    """
    return {
        "drawn": len(part),
        "seen": int((part["target_score"] > part["target_threshold"]).sum()),
        "accepted": int(part["accepted"].sum()),
        "not_judged": int((part["accepted"] & (part["flag"] != "")).sum()),
        **{f"rejected_{name}": int((part["reason"] == reason).sum()) for name, reason in REASONS.items()},
    }
