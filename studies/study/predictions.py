"""What an arm's run leaves for the comparison."""

import numpy as np
import pandas as pd

from trcgl.evaluation.split import EvaluationSet


def split_predictions(split: str, data: EvaluationSet, scores: np.ndarray) -> pd.DataFrame:
    """Long table of one split, image by image: split, image, patient, finding, label (missing: unknown), probability.

    Patients are in it for the intervals: it belongs into cached data, never into metrics.
    """
    findings = data.classes["name"].to_numpy()
    return pd.DataFrame(
        {
            "split": split,
            "image": np.repeat(data.names, len(findings)),
            "patient": np.repeat(data.patients, len(findings)),
            "finding": np.tile(findings, len(data.names)),
            "label": pd.Series(data.labels.ravel()).astype("Int8"),
            "probability": scores.ravel(),
        }
    )
