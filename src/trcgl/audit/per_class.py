"""One row per finding: how many samples were generated, in how many the judge sees it, and how many were accepted."""

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
    """Counts: drawn, seen (by the judge), accepted, not_judged (of the accepted), rejected_<reason> (decisive reason).

    Accepted and rejected samples add up to drawn, the number of all generated samples.
    """
    return {
        "drawn": len(part),
        "seen": int((part["target_score"] > part["target_threshold"]).sum()),
        "accepted": int(part["accepted"].sum()),
        "not_judged": int((part["accepted"] & (part["flag"] != "")).sum()),
        **{f"rejected_{name}": int((part["reason"] == reason).sum()) for name, reason in REASONS.items()},
    }
