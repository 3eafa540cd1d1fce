"""The numbers of a study in folds: the scores of all folds of a seed together, and how often their maps hit a box."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from comparison.intervals import t_interval
from comparison.numbers import PREDICTIONS, TEST, Runs, comparisons
from study.arms import Study
from trcgl.evaluation.bootstrap import image_weights
from trcgl.evaluation.resampled import resample
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_parquet

KEY = ["image", "finding"]
MAPS = ("class_map", "grad_cam")
NO_MODEL = "none"
"""The arm of methods that need no model; its seeds and folds are the same for every arm."""
GUESSES = ("centre", "mean_box")
"""Methods that need no model and are a reference of every arm."""
POINTING = "pointing"


def finished(study: Study, folds: int) -> Study:
    """The part of a study that has run: arms with a seed finished in every fold, and the seeds that any of these has.

    Raises:
        InputError: no arm has a seed in every fold; the message names a missing run.
    """
    seeds = {arm: finished_seeds(study, arm, folds) for arm in study.arms}
    arms = [arm for arm, found in seeds.items() if found]
    if not arms:
        runs = (_folder(study, arm, fold, seed) for arm in study.arms for seed in study.seeds for fold in range(folds))
        first = next(run for run in runs if not (run / PREDICTIONS).exists())
        raise InputError(f"{first}: missing; an arm counts once it has run in all folds with one seed")
    return replace(
        study.part(arms), seeds=tuple(seed for seed in study.seeds if any(seed in seeds[arm] for arm in arms))
    )


def finished_seeds(study: Study, arm: str, folds: int) -> tuple[int, ...]:
    """The seeds with which an arm has run in every fold."""
    return tuple(
        seed for seed in study.seeds
        if all((_folder(study, arm, fold, seed) / PREDICTIONS).exists() for fold in range(folds))
    )  # fmt: skip


def _folder(study: Study, arm: str, fold: int, seed: int) -> Path:
    return study.folder / f"runs/{arm}-{fold}-{seed}"


def load_folds(study: Study, folds: int, scored: Collection[str], classes: pd.DataFrame) -> tuple[Runs, pd.DataFrame]:
    """The predictions of each arm and finished seed, joined over the folds, and the results of the pointing game.

    Args:
        study: the part that has run (`finished`).
        scored: the images of the data set itself; all others are there for their boxes only.
        classes: name and group.

    Returns:
        Runs with the split `test` alone; and a table: arm, seed, image, patient, finding, method, hit, overlap.
    """
    names = classes["name"].tolist()
    first: pd.DataFrame | None = None
    scores, places = {}, []
    for arm in study.arms:
        for seed in finished_seeds(study, arm, folds):
            parts = [_folder(study, arm, fold, seed) for fold in range(folds)]
            table = pd.concat([read_parquet(part / PREDICTIONS) for part in parts], ignore_index=True)
            table = table[table["image"].isin(set(scored))].reset_index(drop=True)
            first = table if first is None else first
            if (
                not table[[*KEY, "label"]].equals(first[[*KEY, "label"]])
                or table["finding"].tolist()[: len(names)] != names
            ):
                raise InputError(f"{parts[0]}: other images, labels or findings than the other runs have; run it again")
            scores[arm, seed] = {"test": table["probability"].to_numpy().reshape(-1, len(names))}
            places += [read_parquet(part / "places.parquet").assign(arm=arm, seed=seed) for part in parts]
    assert first is not None
    labels = first["label"].to_numpy(dtype=np.float32, na_value=np.nan).reshape(-1, len(names))
    runs = Runs(
        groups=classes["group"].to_numpy(),
        patients={"test": first["patient"].to_numpy()[:: len(names)]},
        labels={"test": labels},
        scores=scores,
        extra={},
    )
    return runs, pd.concat(places, ignore_index=True)


def fold_metrics(runs: Runs) -> pd.DataFrame:
    """arm, seed, metric, value: the out-of-fold scores of each arm and seed."""
    labels, rows = runs.labels["test"], []
    for (arm, seed), scores in runs.scores.items():
        found = resample(labels, scores["test"], np.ones((1, len(labels)))).means(runs.groups)
        rows += [(arm, seed, metric, float(found[metric][0])) for metric in TEST]
    return pd.DataFrame(rows, columns=["arm", "seed", "metric", "value"])


class Pointing:
    """Hits of every method on the same boxes, under the same resamples of the patients.

    Args:
        places: as `load_folds` returns them.
        resamples: number of bootstrap resamples of the patients.
    """

    def __init__(self, places: pd.DataFrame, resamples: int):
        pairs = places.drop_duplicates(KEY).sort_values(KEY)
        self.findings = sorted(pairs["finding"].unique().tolist())
        self.patients = pairs["patient"].to_numpy()
        self.columns = pairs["finding"].map({name: c for c, name in enumerate(self.findings)}).to_numpy()
        self.weights = image_weights(self.patients, resamples, seed=0).astype(np.float64)
        index = pd.MultiIndex.from_frame(pairs[KEY])
        self.hits = {
            key: part.set_index(KEY)["hit"].reindex(index).to_numpy()
            for key, part in places.groupby(["arm", "seed", "method"])
        }
        self.seeds = {
            str(arm): sorted(part.unique().tolist()) for arm, part in places.groupby("arm", sort=False)["seed"]
        }
        """The seeds of each arm."""

    def accuracies(self, arm: str, method: str, seeds: Sequence[int] | None = None) -> np.ndarray:
        """Share of boxes hit: [S seeds, 1 + findings, 1 + B resamples].

        Index 0 of the second axis is the mean over the findings; index 0 of the third is the unresampled data. For the
        arm NO_MODEL, S is 1: its methods do not depend on an arm or seed.

        Args:
            seeds: some of the arm's seeds; None: all of them.
        """
        if arm == NO_MODEL:
            arm = next(iter(self.seeds))
            seeds = self.seeds[arm][:1]
        runs = [(arm, seed) for seed in seeds or self.seeds[arm]]
        found = np.empty((len(runs), 1 + len(self.findings), len(self.weights)))
        for s, run in enumerate(runs):
            hits = self.hits[(*run, method)]
            for c in range(len(self.findings)):
                mine = self.columns == c
                with np.errstate(invalid="ignore"):
                    found[s, 1 + c] = self.weights[:, mine] @ hits[mine] / self.weights[:, mine].sum(axis=1)
            found[s, 0] = np.nanmean(found[s, 1:], axis=0)
        return found

    def interval(self, values: np.ndarray) -> tuple[float, float]:
        """The interval of values [S, 1 + B]; resamples with a NaN (no patient with the finding) are left out."""
        resampled = values[:, 1:]
        resampled = resampled[:, ~np.isnan(resampled).any(axis=0)]
        return t_interval(values[:, 0], resampled, len(np.unique(self.patients)))


def localisation(pointing: Pointing) -> pd.DataFrame:
    """Table: arm, method, finding ("(mean)": over the findings), pointing, low, high, centre, images."""
    methods = [(arm, method) for arm in pointing.seeds for method in MAPS] + [(NO_MODEL, "mean_box")]
    centre = pointing.accuracies(NO_MODEL, "centre")[0, :, 0]
    counts = [len(pointing.columns), *np.bincount(pointing.columns, minlength=len(pointing.findings)).tolist()]
    rows = []
    for arm, method in methods:
        found = pointing.accuracies(arm, method)
        for place, finding in enumerate(["(mean)", *pointing.findings]):
            value = float(found[:, place, 0].mean())
            low, high = np.clip(pointing.interval(found[:, place]), 0, 1).tolist()
            rows.append((arm, method, finding, value, low, high, centre[place], counts[place]))
    return pd.DataFrame(rows, columns=["arm", "method", "finding", "pointing", "low", "high", "centre", "images"])


def differences(runs: Runs, pointing: Pointing | None, study: Study) -> pd.DataFrame:
    """Every arm minus each of its references: first in the metrics of `comparisons`, then in pointing accuracy.

    The pointing rows compare class maps (metric POINTING). Besides the arm's references, they have the two baselines
    without a model as references: `centre` and `mean_box` (GUESSES).
    """
    rows = comparisons(runs, study, None)
    if pointing is None:
        return rows
    added = []
    for arm, entry in study.arms.items():
        for other in (*entry.references, *GUESSES):
            seeds = [seed for seed in pointing.seeds[arm] if other in GUESSES or seed in pointing.seeds[other]]
            if not seeds:
                continue
            ours = pointing.accuracies(arm, "class_map", seeds)
            theirs = (
                pointing.accuracies(NO_MODEL, other)
                if other in GUESSES
                else pointing.accuracies(other, "class_map", seeds)
            )
            # Over the findings that both have: a finding with no box in another fold has no mean box
            gain = np.nanmean(ours[:, 1:] - theirs[:, 1:], axis=1)
            added.append((arm, other, POINTING, float(ours[:, 0, 0].mean()), float(gain[:, 0].mean()),
                          *pointing.interval(gain), len(seeds)))  # fmt: skip
    return pd.concat([rows, pd.DataFrame(added, columns=rows.columns)], ignore_index=True)
