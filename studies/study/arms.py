"""The arms of a study: what each is compared with, and what it changes in the pipeline's parameters."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
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
        references: the arms that this one is compared with.
        overrides: dotted keys of the pipeline's params file and their values.
        learning_rate_of: the arm whose learning rate and knob, chosen on validation images, this arm uses; None: those
            of the params file.
        chosen_from: a dotted key and its candidate values; one is chosen on validation images before the learning
            rate. At most one key.
        backbone: the arm whose backbone, of the same seed, is the starting point. It was trained on the images that the
            base generator saw, for as many epochs and steps as that arm's own training on real images takes afterwards.
            None: training starts from the initial weights of the params file.
        steps_like: the arm whose number of optimiser steps per epoch this one takes, where its own sampler would give
            another number; None: the number that its own sampler gives.
        shipped_samples: whether only as many generated images per finding are used as the params file itself asks for.
        same_as: the arm whose runs this one shares under another name; None: it has runs of its own.
        extra: the pool of its extra images (for duplicates, the pool only names the findings); None: the images of the
            generator of the same seed.
        films: a folder of images, beside the replicate's data folder, to train on instead of the data set's own; None:
            the data set's own.
        starts_from: the arm whose whole trained network, of the same seed, is the starting point; None: the initial
            weights of the params file.
        more_films: in a study in folds: whether training also uses the images that are not scored.
        boxes: in a study in folds: whether class maps of training images learn from their boxes.
        made_tail: in a study in folds: whether images with tail findings are removed from training until few are left.
        reported: whether the comparison shows the arm; False: it only trains a network that other arms start from.
    """

    group: str
    references: tuple[str, ...]
    overrides: dict[str, Any]
    learning_rate_of: str | None = None
    chosen_from: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    backbone: str | None = None
    steps_like: str | None = None
    shipped_samples: bool = False
    same_as: str | None = None
    extra: str | None = None
    films: str | None = None
    starts_from: str | None = None
    more_films: bool = False
    boxes: bool = False
    made_tail: bool = False
    reported: bool = True

    @property
    def panel(self) -> str:
        """Title of the figure's panel that shows the arm."""
        return "synthetic images" if self.group in ("control", "synthetic") else self.group


@dataclass(frozen=True)
class LearningRates:
    """The grid of learning rates for every arm that chooses its own, by runs as long as the study's.

    Attributes:
        grid: learning rates of the backbone, ascending; the head's keeps its ratio to it. The grid is extended until
            the best value is not at either end.
        seeds: seeds of the runs that choose; they differ from the study's seeds.
    """

    grid: tuple[float, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Chosen:
    """The values chosen for an arm on validation images.

    Attributes:
        rate: the learning rate of the backbone; the head's keeps its ratio to it. None: both as in the params file.
        knobs: dotted keys of the pipeline's params file and their values, see `Arm.chosen_from`.
    """

    rate: float | None = None
    knobs: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        rate = "as shipped" if self.rate is None else f"{self.rate:g}"
        return ", ".join([rate, *(f"{key.rpartition('.')[2]} {value}" for key, value in self.knobs.items())])


AS_SHIPPED = Chosen()


@dataclass(frozen=True)
class Study(Pipeline):
    """What the arms file and params.yaml of a study's folder say.

    Attributes:
        arms: by name, in the order of the file.
        seeds: seeds of the runs. Each reseeds generator, judge and classifier. In a study of replicates each stands for
            a data set of its own.
        resamples: number of bootstrap resamples of the patients for each interval.
        learning_rates: see LearningRates.
        base: folder with the data set of the base generator; None: no arm needs it.
    """

    arms: dict[str, Arm]
    seeds: tuple[int, ...]
    resamples: int
    learning_rates: LearningRates
    base: Path | None = None

    def part(self, arms: Collection[str]) -> "Study":
        """The study with some of its arms alone; references to the others are left out."""
        kept = {name: replace(arm, references=tuple(other for other in arm.references if other in arms))
                for name, arm in self.arms.items() if name in arms}  # fmt: skip
        return replace(self, arms=kept)

    def arm_params(self, arm: str, seed: int, chosen: Chosen = AS_SHIPPED) -> Params:
        """The parameters of an arm's classifier.

        Raises:
            InputError: no such arm, one without runs of its own, or a value that the params file would not take.
        """
        if arm not in self.arms:
            raise InputError(f"arms.yaml has no arm '{arm}'; it has {', '.join(self.arms)}")
        if (twin := self.arms[arm].same_as) is not None:
            raise InputError(f"arms.yaml: arm '{arm}' is the same as '{twin}'; run that")
        changed = {**self.arms[arm].overrides, **chosen.knobs, "classifier.seed": seed}
        if chosen.rate is not None:
            shipped = self.params(changed).classifier
            changed |= {"classifier.lr": chosen.rate, "classifier.head_lr": chosen.rate * shipped.head_lr / shipped.lr}
        return self.params(changed)

    def pretraining_params(self, arm: str, seed: int, chosen: Chosen = AS_SHIPPED) -> Params:
        """The parameters under which the backbone of an arm is pre-trained; a linear head needs no label graph."""
        params = self.arm_params(arm, seed, chosen)
        return replace(params, classifier=replace(params.classifier, frozen_epochs=0, head="linear"))

    def rate_file(self, arm: str) -> Path:
        """The file with the learning rate chosen for an arm."""
        return self.folder / f"runs/learning-rate-{arm}/learning_rate.json"

    def chosen(self, arm: str) -> Chosen:
        """The values chosen for an arm on validation images.

        Raises:
            InputError: nothing has been chosen yet.
        """
        source = self.arms[arm].learning_rate_of if arm in self.arms else None
        if source is None:
            return AS_SHIPPED
        file = self.rate_file(source)
        if not file.exists():
            raise InputError(f"{file}: missing; choose the learning rate of arm '{source}' first (learning_rate.py)")
        found = read_json(file, ["chosen", "knobs"])
        return Chosen(found["chosen"], found["knobs"])

    def run_of(self, arm: str, seed: int) -> Path:
        """The folder of a run."""
        return self.folder / f"runs/{self.arms[arm].same_as or arm}-{seed}"

    def pool_of(self, name: str, run: int | str) -> Path:
        """The folder of a pool of extra images.

        Args:
            run: the seed; in a study in folds, fold and seed, joined by a hyphen.
        """
        return self.folder / f"pools/{name}-{run}"


def load_study(folder: str | Path, data_set: str | None = None) -> Study:
    """Read params.yaml of a study's folder and the files it names.

    Args:
        data_set: see `load_pipeline`.

    Raises:
        InputError: as for `load_pipeline`, or a name in the arms file is not that of an arm of this study.
    """
    pipeline = load_pipeline(folder, data_set)
    settings = read_yaml(pipeline.file)
    file = pipeline.folder / settings["arms"]
    arms = {name: _arm(entry) for name, entry in read_yaml(file).items()}
    _check_names(arms, file)
    base = settings.get("base")
    study = Study(
        **vars(pipeline),
        arms=arms,
        seeds=tuple(settings["replicates" if "replicates" in settings else "seeds"]),
        # A study of replicates does not resample patients; one with the shipped learning rates does not choose any
        resamples=settings.get("resamples", 0),
        learning_rates=LearningRates(
            tuple(sorted(settings.get("learning_rates", ()))), tuple(settings.get("learning_rate_seeds", ()))
        ),
        base=None if base is None else pipeline.folder / base,
    )
    if (only := settings.get("only")) is None:
        return study
    study = study.part(only)
    _check_names(study.arms, pipeline.file)
    if len(study.arms) < len(only):
        unknown = min(set(only) - set(study.arms))
        raise InputError(f"{pipeline.file}: 'only' names '{unknown}', which is no arm of {file}")
    return study


def _arm(entry: dict[str, Any]) -> Arm:
    chosen_from = {key: tuple(values) for key, values in entry.get("chosen_from", {}).items()}
    if entry.get("made_tail") and entry.get("more_films"):
        raise InputError("arms.yaml: an arm has 'made_tail' or 'more_films', not both")
    lists = {"references": tuple(entry["references"]), "overrides": entry.get("overrides") or {}}
    return Arm(**{**entry, **lists, "chosen_from": chosen_from})


def _check_names(arms: dict[str, Arm], file: Path) -> None:
    for name, arm in arms.items():
        named = (arm.same_as, arm.learning_rate_of, arm.backbone, arm.steps_like, arm.starts_from)
        for other in (*arm.references, *filter(None, named)):
            if other not in arms:
                raise InputError(f"{file}: arm '{name}' needs '{other}', which is no arm there")
