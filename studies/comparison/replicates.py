"""The numbers of replicates: each has its own data, patients and seeds, so one value of an arm is one observation.

A study of replicates takes days. A table can be made from what has run so far; each row says how many replicates it
rests on.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from comparison.intervals import paired_t_interval
from comparison.numbers import EXTRA, TEST, VALIDATION
from study.arms import Study
from trcgl.artifacts.class_list import read_classes
from trcgl.evaluation.resampled import resample
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_json, read_parquet
from trcgl.runtime.logging import get_logger

log = get_logger("study")

CAS = "CAS"
ORACLE, SIZED_LIKE = "oracle", "drawn_informed"
SCORED_POOLS = ("drawn_uninformed", SIZED_LIKE, ORACLE)


def average_precision_of(finding: str) -> str:
    """Name of the metric for the AP of one finding on test images."""
    return f"AP {finding}"


def run_metrics(run: Path, split: str) -> dict[str, float]:
    """Metrics of a run on one split of its replicate: means over findings, and AP of each tail finding.

    Args:
        run: folder with `predictions.parquet` and `classes.json`.

    Raises:
        InputError: the run is missing, or its predictions are for other findings than its classes.
    """
    path = run / "predictions.parquet"
    if not path.exists():
        raise InputError(f"{path}: missing in a run that has finished; run it again")
    classes = read_classes(run / "classes.json")["classes"]
    names, groups = [entry["name"] for entry in classes], np.array([entry["group"] for entry in classes])
    table = read_parquet(path, ["split", "finding", "label", "probability"])
    table = table[table["split"] == split]
    if table["finding"].tolist()[: len(names)] != names:
        raise InputError(f"{path}: other findings than in classes.json; run it again")
    labels = table["label"].to_numpy(dtype=np.float32, na_value=np.nan).reshape(-1, len(names))
    scores = table["probability"].to_numpy().reshape(-1, len(names))
    found = resample(labels, scores, np.ones((1, len(labels))))
    means = {name: float(values[0]) for name, values in found.means(groups).items()}
    tail = {average_precision_of(names[k]): float(found.ap[k, 0]) for k in np.flatnonzero(groups == "tail")}
    return means | tail


def replicate_metrics(study: Study) -> pd.DataFrame:
    """Table: arm, seed (the replicate), metric, value; every reported arm in the replicates that it has finished.

    The CAS of a pool is listed under the arm of the same name.

    Raises:
        InputError: no run at all, damaged ones, or an arm with another number of extra images than planned.
    """
    rows: list[tuple[str, int, str, float]] = []
    for arm, seed in _finished(study):
        run = study.run_of(arm, seed)
        on_test, on_validation = run_metrics(run, "test"), run_metrics(run, "val")
        found = {name: on_validation[name.removeprefix("val_")] for name in VALIDATION}
        found |= {name: on_test[name] for name in on_test if name in TEST or name.startswith("AP ")}
        found[EXTRA] = float(read_json(run / "extra.json", ["extra_images"])["extra_images"])
        scored = study.folder / f"runs/cas-{arm}-{seed}"
        if arm in SCORED_POOLS and scored.exists():
            found[CAS] = run_metrics(scored, "val")["tail_mAP"]
        rows += [(arm, seed, metric, value) for metric, value in found.items()]
    metrics = pd.DataFrame(rows, columns=["arm", "seed", "metric", "value"])
    check_amounts(metrics)
    return metrics


def check_amounts(metrics: pd.DataFrame) -> None:
    """The fresh real images of a replicate are as many as the generated ones that they stand beside.

    Raises:
        InputError: another number of them; such a run used a pool that was made for other generated images.
    """
    extra = metrics[metrics["metric"] == EXTRA].pivot(index="seed", columns="arm", values="value")
    pairs = extra.reindex(columns=[ORACLE, SIZED_LIKE]).dropna()
    for seed, count, wanted in pairs.itertuples():
        if count != wanted:
            raise InputError(
                f"runs/{ORACLE}-{seed}: {count:.0f} extra images, and {SIZED_LIKE}-{seed} has {wanted:.0f}; they must "
                f"be as many: make pools/{ORACLE}-{seed} again, then run the arm again"
            )


def _finished(study: Study) -> list[tuple[str, int]]:
    """Pairs of arm and replicate that have run; the number of those that have not is logged."""
    planned = [(arm, seed) for arm, entry in study.arms.items() if entry.reported for seed in study.seeds]
    finished = [(arm, seed) for arm, seed in planned if study.run_of(arm, seed).exists()]
    if not finished:
        raise InputError(f"{study.folder / 'runs'}: no run of any arm; run them first")
    for arm in dict.fromkeys(arm for arm, _ in planned):
        there = [seed for name, seed in finished if name == arm]
        if len(there) < len(study.seeds):
            log.warning("%s: %d of %d replicates have run", arm, len(there), len(study.seeds))
    return finished


def paired_differences(metrics: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Every arm minus each of its references, on test images, replicate by replicate.

    A row leaves out the replicates that one of the two arms has not finished, and those in which the metric is not
    defined (NaN, when the finding is not a class there). A comparison without any replicate has no row.

    Returns:
        arm, reference, metric, mean (of the arm), difference, low, high, seeds (replicates behind the row).
    """
    values = {
        metric: part.pivot(index="seed", columns="arm", values="value")
        for metric, part in metrics.groupby("metric", sort=False)
        if metric in TEST or str(metric).startswith("AP ")
    }
    rows = []
    for arm, entry in study.arms.items():
        for reference in entry.references:
            for metric, of_arms in values.items():
                pairs = of_arms.reindex(columns=[arm, reference]).dropna()
                if pairs.empty:
                    continue
                gain = (pairs[arm] - pairs[reference]).to_numpy()
                low, high = paired_t_interval(gain)
                mean, difference = float(pairs[arm].mean()), float(gain.mean())
                rows.append((arm, reference, metric, mean, difference, low, high, len(gain)))
    return pd.DataFrame(rows, columns=["arm", "reference", "metric", "mean", "difference", "low", "high", "seeds"])


def gain_by_films_seen(summary: pd.DataFrame, arm: str, reference: str, seen: dict[str, int]) -> pd.DataFrame:
    """The gain of an arm per tail finding, beside the number of its images that the base had seen, most first.

    Args:
        summary: see `paired_differences`.
        seen: number of images by finding.

    Returns:
        finding, seen, difference, low, high.

    Raises:
        InputError: no replicate has run in both arms.
    """
    rows = summary[(summary["arm"] == arm) & (summary["reference"] == reference)].set_index("metric")
    if rows.empty:
        raise InputError(f"no replicate has run in both {arm} and {reference}; run them first")
    table = pd.DataFrame(
        [
            (finding, count, *rows.loc[average_precision_of(finding), ["difference", "low", "high"]])
            for finding, count in seen.items()
            if average_precision_of(finding) in rows.index
        ],
        columns=["finding", "seen", "difference", "low", "high"],
    )
    return table.sort_values(["seen", "finding"], ascending=[False, True], ignore_index=True)
