"""Find the labels of a sample that become unknown in training, because the judge does not confirm them."""

import numpy as np
import pandas as pd


def unverified_findings(samples: pd.DataFrame, scores: np.ndarray, tests: pd.DataFrame) -> list[list[str]]:
    """Findings other than the target for which it is uncertain whether the sample shows them.

    These are of two kinds. The prompt names a finding, but the judge does not see it or cannot judge it. Or the prompt
    does not name a finding, but the judge sees it: as clearly as in real images with it, and more clearly than in
    nearly all real images without it.

    Args:
        samples: target, findings (all that the prompt names), unknown (findings that are unknown anyway).
        scores: [N, C], the judge's scores; the findings C are in the order of `tests`.
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
