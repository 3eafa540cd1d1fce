"""The arms of a study: what each is compared with, and what it changes in the pipeline's parameters."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from study.parameters import Pipeline, load_pipeline
from trcgl.config import Params
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_json
from trcgl.runtime.settings import read_yaml

JUDGE = "bce_linear"
"""The arm whose model of a seed judges what that seed's generator draws: the plain head on real images only."""
SHIPPED = "shipped_audit.parquet"
"""Of a generator's run: the verdicts on the samples that the shipped parameters ask for."""


@dataclass(frozen=True)
class Arm:
    """One configuration that is trained with every seed.

    Attributes:
        group: `control`, `synthetic` (the candidates from which the best is chosen on validation images), or the title
            of the arm's panel in the figure.
        references: the arms it is compared with.
        overrides: dotted keys of the pipeline's params file and their values.
        learning_rate_of: the arm whose learning rate, chosen on validation images, it takes; None: the params file's.
        pretrained_like: an arm whose first epochs, those with extra images, are replaced by as many optimiser steps
            on the images that the base generator saw; None: trained from the params file's initial weights throughout.
        steps_like: an arm that tells the optimiser steps of an epoch, where another sampler would take fewer or more;
            None: as many as its own sampler fills.
        shipped_samples: of the drawn images only as many of each finding as the params file itself asks for.
        same_as: an arm whose runs these are, under another name; None: runs of its own.
    """

    group: str
    references: tuple[str, ...]
    overrides: dict[str, Any]
    learning_rate_of: str | None = None
    pretrained_like: str | None = None
    steps_like: str | None = None
    shipped_samples: bool = False
    same_as: str | None = None

    @property
    def panel(self) -> str:
        """Where the figure shows it."""
        return "synthetic images" if self.group in ("control", "synthetic") else self.group


@dataclass(frozen=True)
class LearningRates:
    """The grid from which every arm that has a learning rate of its own takes one.

    Attributes:
        tried: of the backbone; the head's moves with it.
        seed: of the runs that choose; none of the study's.
        epochs: of these runs, after the frozen ones.
    """

    tried: tuple[float, ...]
    seed: int
    epochs: int


@dataclass(frozen=True)
class Study(Pipeline):
    """What the arms file and params.yaml of a study's folder say.

    Attributes:
        arms: by name, in the order of the file.
        seeds: of the runs; each reseeds generator, judge and classifier.
        resamples: of the patients, behind each interval.
        learning_rates: see LearningRates.
        base: folder with the data set of the base generator; None: no arm needs it.
    """

    arms: dict[str, Arm]
    seeds: tuple[int, ...]
    resamples: int
    learning_rates: LearningRates
    base: Path | None = None

    def arm_params(self, arm: str, seed: int, rate: float | None = None) -> Params:
        """The parameters of an arm's classifier.

        Args:
            rate: of the backbone; the head's keeps its ratio to it. None: both as in the params file.

        Raises:
            InputError: no such arm, one without runs of its own, or a value that the params file would not take.
        """
        changed = self._changed(arm, seed, rate)
        if self.arms[arm].pretrained_like is not None:
            epochs = self.params(changed).classifier.epochs
            changed["classifier.epochs"] = epochs - self.pretraining_epochs(arm)
        return self.params(changed)

    def pretraining_params(self, arm: str, seed: int, rate: float | None = None) -> Params:
        """The parameters under which the backbone of an arm is pre-trained; a linear head needs no label graph."""
        pretraining = {
            "classifier.frozen_epochs": 0,
            "classifier.epochs": self.pretraining_epochs(arm),
            "classifier.head": "linear",
        }
        return self.params(self._changed(arm, seed, rate) | pretraining)

    def pretraining_epochs(self, arm: str) -> int:
        """The epochs in which the arm that is imitated uses extra images."""
        imitated = self.arms[arm].pretrained_like
        if imitated is None:
            raise InputError(f"arms.yaml: arm '{arm}' has no pretrained_like; it is not pre-trained")
        knobs = self.params(self._changed(imitated, 0, None)).classifier
        return math.ceil(knobs.extra_until * (knobs.frozen_epochs + knobs.epochs))

    def rate_params(self, arm: str, rate: float) -> Params:
        """The parameters of the shorter run by which a learning rate is judged."""
        shorter = {"classifier.epochs": self.learning_rates.epochs}
        return self.params(self._changed(arm, self.learning_rates.seed, rate) | shorter)

    def rate_file(self, arm: str) -> Path:
        """Where the learning rate of an arm is, once chosen."""
        return self.folder / f"runs/learning-rate-{arm}/learning_rate.json"

    def chosen_rate(self, arm: str) -> float | None:
        """The learning rate with which an arm is trained; None: that of the params file.

        Raises:
            InputError: it has not been chosen yet.
        """
        source = self.arms[arm].learning_rate_of if arm in self.arms else None
        if source is None:
            return None
        path = self.rate_file(source)
        if not path.exists():
            raise InputError(f"{path}: missing; choose the learning rate of arm '{source}' first (learning_rate.py)")
        return float(read_json(path, ["chosen"])["chosen"])

    def run_of(self, arm: str, seed: int) -> Path:
        """The folder of a run."""
        return self.folder / f"runs/{self.arms[arm].same_as or arm}-{seed}"

    def _changed(self, arm: str, seed: int, rate: float | None) -> dict[str, Any]:
        if arm not in self.arms:
            raise InputError(f"arms.yaml has no arm '{arm}'; it has {', '.join(self.arms)}")
        if (twin := self.arms[arm].same_as) is not None:
            raise InputError(f"arms.yaml: arm '{arm}' is the same as '{twin}'; run that")
        changed = {**self.arms[arm].overrides, "classifier.seed": seed}
        if rate is not None:
            shipped = self.params(changed).classifier
            changed |= {"classifier.lr": rate, "classifier.head_lr": rate * shipped.head_lr / shipped.lr}
        return changed


def load_study(folder: str | Path) -> Study:
    """Read params.yaml of a study's folder and the files it names.

    Raises:
        InputError: as for `load_pipeline`, or a name in the arms file is not that of an arm of this study.
    """
    pipeline = load_pipeline(folder)
    settings = read_yaml(pipeline.file)
    file = pipeline.folder / settings["arms"]
    arms = {name: _arm(entry) for name, entry in read_yaml(file).items()}
    _check_names(arms, file)
    if (only := settings.get("only")) is not None:
        arms = {name: replace(arm, references=tuple(other for other in arm.references if other in only))
                for name, arm in arms.items() if name in only}  # fmt: skip
        _check_names(arms, pipeline.file)
        if len(arms) < len(only):
            unknown = min(set(only) - set(arms))
            raise InputError(f"{pipeline.file}: 'only' names '{unknown}', which is no arm of {file}")
    base = settings.get("base")
    rates = tuple(settings["learning_rates"])
    return Study(
        **vars(pipeline),
        arms=arms,
        seeds=tuple(settings["seeds"]),
        resamples=settings["resamples"],
        learning_rates=LearningRates(rates, settings["learning_rate_seed"], settings["learning_rate_epochs"]),
        base=None if base is None else pipeline.folder / base,
    )


def _arm(entry: dict[str, Any]) -> Arm:
    return Arm(**{**entry, "references": tuple(entry["references"]), "overrides": entry.get("overrides") or {}})


def _check_names(arms: dict[str, Arm], file: Path) -> None:
    for name, arm in arms.items():
        named = (arm.pretrained_like, arm.same_as, arm.learning_rate_of, arm.steps_like)
        for other in (*arm.references, *filter(None, named)):
            if other not in arms:
                raise InputError(f"{file}: arm '{name}' needs '{other}', which is no arm there")
