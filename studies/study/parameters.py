"""The pipeline's parameters as a study takes them: its own params.yaml says only what differs."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trcgl.config import Params, checked, overlay
from trcgl.runtime.errors import InputError
from trcgl.runtime.settings import override, read_yaml

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Pipeline:
    """The pipeline as a study runs it.

    Attributes:
        name: name of the study; its outputs are metrics/<name>.csv, <name>_summary.csv and docs/figures/<name>.png.
        folder: folder of the study, absolute; runs are in `folder/runs`.
        data: the data folder that the study reads, absolute: images, labels, co-occurrence.
        shipped: the values of the pipeline's params file, with the study's presets applied.
        root: the changes to these values that every run of the study makes.
    """

    name: str
    folder: Path
    data: Path
    shipped: dict[str, Any]
    root: dict[str, Any]

    @property
    def file(self) -> Path:
        """The study's params file."""
        return self.folder / "params.yaml"

    def values(self, overrides: Mapping[str, Any] = NOTHING) -> dict[str, Any]:
        """The checked values of a params file for a stage script: `shipped`, then `root`, then dotted `overrides`."""
        values = copy.deepcopy(self.shipped)
        overlay(values, self.root, f"{self.file}, root")
        override(values, overrides, str(self.file))
        checked(values, str(self.file))
        return values

    def params(self, overrides: Mapping[str, Any] = NOTHING) -> Params:
        """The result of `values` as typed `Params`."""
        return checked(self.values(overrides), str(self.file))


def merge_mappings(values: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Update `values` with `changes` in place; where both hold a mapping under a key, the mappings are merged."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            merge_mappings(values[key], value)
        else:
            values[key] = value


def _data_sets(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The changes that each data set makes to `root`, by name of the data set."""
    if "replicates" not in settings:
        return settings["data_sets"]
    seeds = [key.split(".") for key in settings["replicate_seeds"]]
    return {str(number): {section: {seed: number} for section, seed in seeds} for number in settings["replicates"]}


def load_pipeline(folder: str | Path, data_set: str | None = None) -> Pipeline:
    """Read the params.yaml of a study's folder and the files that its `parameters` name.

    The first of these files is complete. Each later one holds only what differs and overrides those before it.

    Args:
        data_set: which one, for a study with several: a key of `data_sets`, whose values override `root`; or the number
            of a replicate, which becomes the value of each key in `replicate_seeds`. Its data are in a folder of that
            name.

    Raises:
        InputError: a file cannot be read or has a key that the pipeline does not know, a path of the data set is not
            set, or there is no such data set or replicate.
    """
    folder = Path(folder).resolve()
    settings = read_yaml(folder / "params.yaml")
    complete, *presets = (folder / name for name in settings["parameters"])
    shipped = read_yaml(complete)
    for preset in presets:
        overlay(shipped, read_yaml(preset), str(preset))
    root = settings["root"]
    for key in ("images", "labels"):
        if root.get("dataset", {}).get(key, "") is None:
            raise InputError(
                f"{folder / 'params.yaml'}: 'root.dataset.{key}' is empty; set it to a path on this machine"
            )
    name, data = settings["name"], folder / settings["data"]
    if data_set is not None:
        if data_set not in (sets := _data_sets(settings)):
            raise InputError(f"{folder / 'params.yaml'}: has no data set '{data_set}'; it has {', '.join(sets)}")
        name, data = f"{name}-{data_set}", data / data_set
        # Copied, because data sets may share parts through a YAML anchor
        merge_mappings(root, copy.deepcopy(sets[data_set]))
    return Pipeline(name, folder, data.resolve(), shipped, root)
