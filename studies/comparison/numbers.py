"""The numbers of a study: metrics of every arm and seed, paired differences, intervals over seeds and patients."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from comparison.intervals import t_interval
from study.arms import Chosen, Study
from trcgl.evaluation.bootstrap import image_weights
from trcgl.evaluation.resampled import resample
from trcgl.metrics import prevalence_weights
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_json, read_parquet

PREDICTIONS = "predictions.parquet"
CHOSEN_BY = "val_tail_mAP"
EXTRA = "extra_images"
VALIDATION = ("val_tail_mAP", "val_mAP")
TEST = ("tail_mAP", "mAP", "head_mAP", "medium_mAP", "mAUC", "tail_mAUC")
WEIGHTED = {f"{metric}_prevalence": metric for metric in ("tail_mAP", "mAP", "head_mAP", "medium_mAP")}
"""On test images weighted back to the training prevalence (`prevalence_weights`): the metric that is weighted."""


@dataclass(frozen=True)
class Runs:
    """The predictions of all arms and seeds on the same images.

    Attributes:
        groups: [C] head, medium or tail, per finding.
        patients: split -> [N] patient id of each image; the ids stay in memory and are never written to an output.
        labels: split -> [N, C] of 1, 0 or NaN.
        scores: (arm, seed) -> split -> [N, C].
        extra: (arm, seed) -> number of extra images in training: fewer than the arm asks for if fewer were accepted.
        weights: [N] of the test images at the training prevalence; None: they are at a natural one.
    """

    groups: np.ndarray
    patients: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    scores: dict[tuple[str, int], dict[str, np.ndarray]]
    extra: dict[tuple[str, int], int]
    weights: np.ndarray | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics on test images."""
        return TEST if self.weights is None else (*TEST, *WEIGHTED)

    def on_test(self, scores: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        """metric -> [B].

        Args:
            scores: [N, C] on test images.
            counts: [B, N], how often each image counts. The weights of the prevalence are the same in all resamples.
        """
        labels = self.labels["test"]
        found = resample(labels, scores, counts).means(self.groups)
        if self.weights is not None:
            weighted = resample(labels, scores, counts * self.weights).means(self.groups)
            found |= {name: weighted[metric] for name, metric in WEIGHTED.items()}
        return found


def finished(study: Study) -> Study:
    """The part of a study that has run: the arms that have run with every seed.

    Raises:
        InputError: no arm has.
    """
    missing = {arm: [path for seed in study.seeds if not (path := study.run_of(arm, seed) / PREDICTIONS).exists()]
               for arm in study.arms}  # fmt: skip
    arms = [arm for arm, paths in missing.items() if not paths]
    if not arms:
        first = next((paths[0] for paths in missing.values() if paths), study.file)
        raise InputError(f"{first}: missing; no arm has run with every seed, so there is nothing to compare")
    return study.part(arms)


def load_runs(study: Study, classes: pd.DataFrame) -> Runs:
    """Read `predictions.parquet` and `extra.json` of every arm and seed; an arm with `same_as` shares another's files.

    Args:
        study: the part that has run (`finished`).

    Raises:
        InputError: two runs do not predict the same images and findings.
    """
    names = classes["name"].tolist()
    first: pd.DataFrame | None = None
    scores: dict[tuple[str, int], dict[str, np.ndarray]] = {}
    extra: dict[tuple[str, int], int] = {}
    fixed = ["split", "image", "patient", "finding", "label"]
    for arm in study.arms:
        for seed in study.seeds:
            path = study.run_of(arm, seed) / PREDICTIONS
            table = read_parquet(path, [*fixed, "probability"])
            first = table if first is None else first
            if not table[fixed].equals(first[fixed]) or table["finding"].tolist()[: len(names)] != names:
                raise InputError(f"{path}: other images, labels or findings than the other runs have; run it again")
            extra[arm, seed] = read_json(path.with_name("extra.json"), ["extra_images"])["extra_images"]
            scores[arm, seed] = {
                str(split): part["probability"].to_numpy().reshape(-1, len(names))
                for split, part in table.groupby("split")
            }
    if first is None:
        raise InputError(f"{study.file}: no arm or no seed")
    parts = {str(split): part for split, part in first.groupby("split")}
    labels = {
        split: part["label"].to_numpy(dtype=np.float32, na_value=np.nan).reshape(-1, len(names))
        for split, part in parts.items()
    }
    return Runs(
        groups=classes["group"].to_numpy(),
        patients={split: part["patient"].to_numpy()[:: len(names)] for split, part in parts.items()},
        labels=labels,
        scores=scores,
        extra=extra,
        weights=prevalence_weights(labels["test"], classes["prevalence"].tolist()),
    )


def arm_metrics(runs: Runs) -> pd.DataFrame:
    """Table: arm, seed, metric, value; one row each. Names of metrics on validation images begin with `val_`."""
    rows = []
    for (arm, seed), scores in runs.scores.items():
        once = {split: np.ones((1, len(labels))) for split, labels in runs.labels.items()}
        chosen_by = resample(runs.labels["val"], scores["val"], once["val"]).means(runs.groups)
        found = {f"val_{name}": value for name, value in chosen_by.items()} | runs.on_test(scores["test"], once["test"])
        rows += [(arm, seed, metric, float(found[metric][0])) for metric in (*VALIDATION, *runs.metrics)]
        rows.append((arm, seed, EXTRA, float(runs.extra[arm, seed])))
    return pd.DataFrame(rows, columns=["arm", "seed", "metric", "value"])


def best_on_validation(metrics: pd.DataFrame, study: Study) -> str | None:
    """The synthetic arm with the best mean over seeds on validation images; None if there is no synthetic arm."""
    means = metrics[metrics["metric"] == CHOSEN_BY].groupby("arm")["value"].mean()
    candidates = [arm for arm, entry in study.arms.items() if entry.group == "synthetic"]
    return max(candidates, key=lambda arm: means[arm]) if candidates else None


def comparisons(runs: Runs, study: Study, best: str | None) -> pd.DataFrame:
    """Paired differences on test images: every arm minus its references, and arm `best` minus every control as well.

    Both arms are scored on the same resamples of the patients (see `t_interval`), over the seeds that both have.

    Returns:
        arm, reference, metric, mean (of the arm over these seeds), difference, low, high, seeds (their number).
    """
    patients = runs.patients["test"]
    counts = image_weights(patients, study.resamples, seed=0)
    values: dict[tuple[str, int], dict[str, np.ndarray]] = {}
    for (arm, seed), scores in runs.scores.items():
        if study.arms[arm].same_as is None:
            values[arm, seed] = runs.on_test(scores["test"], counts)

    def resampled(arm: str, metric: str, seeds: list[int]) -> np.ndarray:
        return np.stack([values[study.arms[arm].same_as or arm, seed][metric] for seed in seeds])

    rows = []
    for arm, entry in study.arms.items():
        controls = [name for name, other in study.arms.items() if other.group == "control"] if arm == best else []
        for reference in dict.fromkeys([*entry.references, *controls]):
            both = [study.arms[name].same_as or name for name in (arm, reference)]
            seeds = [seed for seed in study.seeds if all((name, seed) in values for name in both)]
            for metric in runs.metrics if seeds else ():
                ours = resampled(arm, metric, seeds)
                gain = ours - resampled(reference, metric, seeds)
                interval = t_interval(gain[:, 0], gain[:, 1:], len(np.unique(patients)))
                point = float(ours[:, 0].mean()), float(gain[:, 0].mean())
                rows.append((arm, reference, metric, *point, *interval, len(seeds)))
    columns = ["arm", "reference", "metric", "mean", "difference", "low", "high", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def results_block(
    metrics: pd.DataFrame,
    summary: pd.DataFrame,
    study: Study,
    best: str | None,
    chosen: Mapping[str, Chosen],
    planned: Study,
) -> str:
    """Markdown: every arm, mean and standard deviation over seeds; every comparison of tail mAP and mAP.

    Args:
        study: the part that has run.
        chosen: arm -> the values chosen for it on validation images.
        planned: the whole study.
    """
    waiting = ", ".join(f"`{arm}`" for arm in planned.arms if arm not in study.arms)
    columns = (CHOSEN_BY, *TEST)
    lines = [
        f"Mean and standard deviation over {len(study.seeds)} seeds; each seed refits the classifier and, where drawn "
        "images are used, their generator and its judge. `val_` is on validation images, the rest on test images. "
        "Learning rates (of the backbone, and what is named beside them) were chosen by mAP on validation images, with "
        "other seeds." + (f" Not run yet: {waiting}." if waiting else ""),
        "",
        f"| arm | learning rate | extra images | {' | '.join(columns)} |",
        "|---|---|---|" + "---|" * len(columns),
    ]
    for arm in study.arms:
        extra = metrics.loc[(metrics["arm"] == arm) & (metrics["metric"] == EXTRA), "value"].mean()
        cells = [str(chosen[arm]), f"{extra:.0f}"]
        for metric in columns:
            value = metrics.loc[(metrics["arm"] == arm) & (metrics["metric"] == metric), "value"].to_numpy()
            spread = f" ± {value.std(ddof=1):.3f}" if len(value) > 1 else ""
            # A group may have no finding in this data set
            cells.append("-" if np.isnan(value).any() else f"{value.mean():.3f}{spread}")
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    if best is not None:
        candidates = " and ".join(f"`{arm}`" for arm, entry in study.arms.items() if entry.group == "synthetic")
        lines += ["", f"Of {candidates}, `{best}` is best on validation images (mean {CHOSEN_BY})."]
    lines += [
        "",
        f"Paired differences on test images with 95 % t intervals over seeds and patients ({study.resamples} resamples "
        "of the patients); on the right, on the same images weighted back to the training prevalence.",
        "",
        "| arm | reference | tail mAP | mAP | tail mAP, weighted | mAP, weighted |",
        "|---|---|---|---|---|---|",
    ]
    for (arm, reference), part in summary.groupby(["arm", "reference"], sort=False):
        shown = part.set_index("metric")
        cells = [
            f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
            for row in (shown.loc[name] for name in ("tail_mAP", "mAP", "tail_mAP_prevalence", "mAP_prevalence"))
        ]
        lines.append(f"| {arm} | {reference} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
