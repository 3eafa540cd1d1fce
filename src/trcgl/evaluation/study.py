"""The arms of the ablation study: what each is compared with, and what it changes in the root's parameters."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trcgl.config import Params, load_params, read_yaml
from trcgl.runtime.errors import InputError


@dataclass(frozen=True)
class Arm:
    """One configuration that is trained with every seed.

    Attributes:
        group: `control`, or `synthetic`: the candidates from which the best is chosen on validation images.
        references: the arms it is compared with.
        overrides: dotted keys of the root's params.yaml and their values.
        pretrained_like: an arm whose first epochs, those with extra images, are replaced by as many optimiser steps
            on the images that the base generator saw; None: trained from the root's initial weights throughout.
    """

    group: str
    references: tuple[str, ...]
    overrides: dict[str, Any]
    pretrained_like: str | None = None


@dataclass(frozen=True)
class Study:
    """What studies/ablation/arms.yaml and params.yaml say.

    Attributes:
        arms: by name, in the order of the file.
        seeds: of the runs; each reseeds generator, judge and classifier.
        root: dotted keys of the root's params.yaml that every arm and generator replaces.
        root_params: the file they are replaced in.
        resamples: of seeds and patients together, behind each interval.
        base: folder with the data set of the base generator.
    """

    arms: dict[str, Arm]
    seeds: tuple[int, ...]
    root: dict[str, Any]
    root_params: Path
    resamples: int
    base: Path

    def params(self, arm: str, seed: int) -> Params:
        """The parameters of an arm's classifier.

        Raises:
            InputError: no such arm, or a value that the root's params.yaml would not take.
        """
        changed = self._changed(arm, seed)
        if self.arms[arm].pretrained_like is not None:
            epochs = load_params(self.root_params, changed).classifier.epochs
            changed["classifier.epochs"] = epochs - self.pretraining_epochs(arm)
        return load_params(self.root_params, changed)

    def pretraining_params(self, arm: str, seed: int) -> Params:
        """The parameters under which the backbone of an arm is pre-trained; a linear head needs no label graph."""
        pretraining = {
            "classifier.frozen_epochs": 0,
            "classifier.epochs": self.pretraining_epochs(arm),
            "classifier.head": "linear",
        }
        return load_params(self.root_params, self._changed(arm, seed) | pretraining)

    def pretraining_epochs(self, arm: str) -> int:
        """The epochs in which the arm that is imitated uses extra images."""
        imitated = self.arms[arm].pretrained_like
        if imitated is None:
            raise InputError(f"arms.yaml: arm '{arm}' has no pretrained_like; it is not pre-trained")
        knobs = load_params(self.root_params, self._changed(imitated, 0)).classifier
        return math.ceil(knobs.extra_until * (knobs.frozen_epochs + knobs.epochs))

    def generator_overrides(self, seed: int) -> dict[str, Any]:
        """Dotted keys of the generator of a seed: judge, fine-tuning and sampling start anew."""
        return {**self.root, "baseline.seed": seed, "diffusion.seed": seed, "sampling.seed": seed}

    def _changed(self, arm: str, seed: int) -> dict[str, Any]:
        if arm not in self.arms:
            raise InputError(f"arms.yaml has no arm '{arm}'; it has {', '.join(self.arms)}")
        return {**self.root, **self.arms[arm].overrides, "classifier.seed": seed}


def load_study(folder: str | Path) -> Study:
    """Read arms.yaml and params.yaml of a study's folder.

    Raises:
        InputError: a file cannot be read, or a name in arms.yaml is not that of an arm.
    """
    folder = Path(folder)
    arms = {
        name: Arm(entry["group"], tuple(entry["references"]), entry["overrides"] or {}, entry.get("pretrained_like"))
        for name, entry in read_yaml(folder / "arms.yaml").items()
    }
    for name, arm in arms.items():
        for other in (*arm.references, *filter(None, [arm.pretrained_like])):
            if other not in arms:
                raise InputError(f"{folder / 'arms.yaml'}: arm '{name}' names '{other}', which is no arm")
    settings = read_yaml(folder / "params.yaml")
    return Study(
        arms=arms,
        seeds=tuple(settings["seeds"]),
        root=_dotted(settings["root"]),
        root_params=folder / "../../params.yaml",
        resamples=settings["resamples"],
        base=folder / settings["base"],
    )


def _dotted(sections: dict[str, Any]) -> dict[str, Any]:
    """{section: {key: value}} -> {section.key: value}."""
    return {f"{section}.{key}": value for section, knobs in sections.items() for key, value in knobs.items()}
