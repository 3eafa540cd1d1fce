"""Results of a model on subgroups of the images: by projection, sex and age, where the data set states them."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from trcgl.config import EvaluationParams
from trcgl.evaluation.bootstrap import bootstrap_interval, image_weights, mean_of_defined
from trcgl.evaluation.resampled import resample
from trcgl.evaluation.scored import Scored
from trcgl.metrics import summary
from trcgl.runtime.logging import get_logger

log = get_logger("evaluate")

SUBGROUPS = ("projection", "sex", "age")
AGES = {"0-19": 0, "20-39": 20, "40-59": 40, "60-79": 60, "80+": 80}
"""Bands of age, each with its first year, as in Seyyed-Kalantari et al., https://doi.org/10.1038/s41591-021-01595-0."""
UNKNOWN = "unknown"
COLUMNS = (
    "model", "subgroup", "value", "images", "patients", "scored_classes", "mAP", "mAP_low", "mAP_high", "head_mAP",
    "medium_mAP", "tail_mAP", "mAUC", "mF1", "ECE",
)  # fmt: skip


def subgroup_table(scored: Scored, about: pd.DataFrame, params: EvaluationParams) -> pd.DataFrame:
    """Content of metrics/subgroups.csv: one row per model and value of a subgroup.

    A finding without a positive or without a negative in a subgroup has no AP there, so the means of two subgroups may
    cover different findings; `scored_classes` is the number of findings in the mean. ECE has the weights of the whole
    set (`prevalence_weights`), so that each subgroup keeps its own prevalence. The interval of mAP resamples the
    subgroup's patients.

    Args:
        about: [N] rows with those columns of SUBGROUPS that the data set has; "" where unknown. Ages are in years, and
            become the bands of AGES; missing where unknown.

    Returns:
        COLUMNS; `patients` is the number of patients.
    """
    rows: dict[str, list[Mapping[str, object]]] = {model: [] for model in scored.scores}
    for subgroup, value, chosen in _parts(about):
        part = scored.part(chosen)
        weights = image_weights(part.patients, params.bootstrap_samples)
        for model, scores in part.scores.items():
            table = part.per_class(model)
            interval = bootstrap_interval(mean_of_defined(resample(part.labels, scores, weights).ap))
            rows[model].append(
                {
                    "model": model,
                    "subgroup": subgroup,
                    "value": value,
                    "images": len(part.patients),
                    "patients": len(set(part.patients)),
                    "scored_classes": int(table["AP"].notna().sum()),
                    "mAP_low": interval.low,
                    "mAP_high": interval.high,
                }
                | summary(table)
            )
        log.info("%s %s: %d images of %d patients scored", subgroup, value, len(part.patients), len(set(part.patients)))
    return pd.DataFrame([row for of_model in rows.values() for row in of_model], columns=list(COLUMNS))


def _parts(about: pd.DataFrame) -> Iterator[tuple[str, str, np.ndarray]]:
    """Subgroup, value and its images (bool [N]); a subgroup that is unknown for every image is left out."""
    for subgroup in [name for name in SUBGROUPS if name in about]:
        values = (_bands(about[subgroup]) if subgroup == "age" else about[subgroup].replace("", UNKNOWN)).to_numpy()
        if not (values == UNKNOWN).all():
            for value in sorted(set(values), key=lambda name: (name == UNKNOWN, name)):
                yield subgroup, value, values == value


def _bands(ages: pd.Series) -> pd.Series:
    first = [*AGES.values(), np.inf]
    bands = pd.cut(ages.astype("Float64").to_numpy(np.float64, na_value=np.nan), first, right=False, labels=list(AGES))
    return pd.Series(bands).astype(object).fillna(UNKNOWN)
