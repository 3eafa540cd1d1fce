"""Which labels of a sample are left open in training, because the judge does not bear them out."""

import numpy as np
import pandas as pd


def unverified_findings(samples: pd.DataFrame, scores: np.ndarray, tests: pd.DataFrame) -> list[list[str]]:
    """Findings beside the target of which nobody knows whether the sample shows them.

    Those that its prompt names and the judge does not see or cannot judge, and those that nobody asked for and the
    judge sees as clearly as in real images with them and more clearly than in nearly all without.

    Args:
        samples: target, findings (all that its prompt names), unknown (unknown anyway).
        scores: [N, C] the judge's, C in the order of `tests`.
        tests: from `finding_tests`.

    Returns:
        N lists of findings, in the order of `tests`.
    """
    seen = scores > tests["threshold"].to_numpy()
    clear = seen & (scores > tests["invented_threshold"].to_numpy())
    found = []
    columns = (samples["target"], samples["findings"], samples["unknown"])
    for row, (target, findings, unknown) in enumerate(zip(*columns, strict=True)):
        asked, others = set(findings) - {target}, set(tests.index) - {target, *findings, *unknown}
        found.append(
            [
                name
                for c, name in enumerate(tests.index)
                if (name in asked and not seen[row, c]) or (name in others and clear[row, c])
            ]
        )
    return found
