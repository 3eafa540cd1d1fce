"""How well a model does on parts of the images: by projection and by sex, where the data set tells them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from trcgl.evaluation.bootstrap import mean_ap_samples, patient_weights, percentile_interval
from trcgl.metrics import per_class_table, summary

SUBGROUPS = ("projection", "sex")
UNKNOWN = "unknown"


def subgroup_table(
    labels: np.ndarray,
    scores: Mapping[str, np.ndarray],
    about: pd.DataFrame,
    patients: np.ndarray,
    classes: pd.DataFrame,
    thresholds: Mapping[str, Sequence[float]],
    *,
    fixed_threshold: float,
    ece_bins: int,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """One row a model and value of a subgroup. A subgroup that is told of no image has no row.

    Findings without a positive or a negative in a part have no AP there, so parts average over different findings:
    `scored_classes` says how many. ECE is weighted to the prevalence among all training images, not the part's own.

    Args:
        labels: [N, C] of 1, 0 or NaN.
        scores: model -> [N, C].
        about: [N] rows; those of the columns SUBGROUPS that it has, "" where the data set does not tell.
        patients: [N]; they reach no output.
        classes: [C] rows: name, group, prevalence.
        thresholds: model -> [C].
        resamples: of the part's patients, behind the 95 % interval of mAP.

    Returns:
        model, subgroup, value, images, patients (their number), scored_classes, mAP, mAP_low, mAP_high, head_mAP,
        medium_mAP, tail_mAP, mAUC, mF1, ECE.
    """
    columns = ["model", "subgroup", "value", "images", "patients", "scored_classes", "mAP", "mAP_low", "mAP_high"]
    columns += ["head_mAP", "medium_mAP", "tail_mAP", "mAUC", "mF1", "ECE"]
    rows = []
    for model, values in scores.items():
        for subgroup in [name for name in SUBGROUPS if name in about]:
            told = about[subgroup].replace("", UNKNOWN).to_numpy()
            if (told == UNKNOWN).all():
                continue
            for value in sorted(set(told), key=lambda name: (name == UNKNOWN, name)):
                part = told == value
                table = per_class_table(
                    labels[part],
                    values[part],
                    classes["name"].tolist(),
                    classes["group"].tolist(),
                    thresholds[model],
                    classes["prevalence"].tolist(),
                    fixed_threshold=fixed_threshold,
                    ece_bins=ece_bins,
                )
                weights = patient_weights(patients[part], resamples, seed)
                samples = mean_ap_samples(labels[part], values[part], weights, np.arange(labels.shape[1]))
                interval = percentile_interval(samples)
                rows.append(
                    {
                        "model": model,
                        "subgroup": subgroup,
                        "value": value,
                        "images": int(part.sum()),
                        "patients": len(set(patients[part])),
                        "scored_classes": int(table["AP"].notna().sum()),
                        "mAP_low": interval.low,
                        "mAP_high": interval.high,
                    }
                    | summary(table)
                )
    return pd.DataFrame(rows, columns=columns)
