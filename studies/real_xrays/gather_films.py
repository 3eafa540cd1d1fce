"""Gather the study's images: read and label every folder, decode its images once, divide them into folds by patient."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study.gathering import Source, gather
from study.parameters import load_pipeline
from study.places import keep_state_in_studies
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import directory_beside
from trcgl.runtime.settings import read_yaml
from trcgl.runtime.stage import run_stage


def check_films(settings: Mapping[str, Any], file: str) -> None:
    """Raise an InputError if films or boxes that other settings of the study need are not set."""
    more = settings["more_films"]
    if (more["images"] is None) != (more["labels"] is None):
        given, lacking = ("labels", "images") if more["images"] is None else ("images", "labels")
        raise InputError(f"{file}: 'more_films.{lacking}' is empty beside 'more_films.{given}'; set both, or neither")
    if more["scored"] and more["images"] is None:
        raise InputError(
            f"{file}: 'more_films.scored' is true, but 'more_films.images' is empty; set it to a path on this machine, "
            "or 'more_films.scored' to false"
        )
    if more["scored"] and settings["made_tail"] is not None and settings["boxes"] is None:
        raise InputError(
            f"{file}: 'boxes' is empty; a made tail of films with boxes needs it: set it to a path on this machine"
        )


def main() -> None:
    keep_state_in_studies()
    study = load_pipeline(".")
    settings, params = read_yaml(study.file), study.params()
    sources = [Source(Path(params.dataset.images), Path(params.dataset.labels), scored=True)]
    more = settings["more_films"]
    check_films(settings, str(study.file))
    if more["images"] is not None:
        sources.append(Source(Path(more["images"]), Path(more["labels"]), scored=more["scored"]))
    boxes = None if settings["boxes"] is None else Path(settings["boxes"])
    with directory_beside(study.data) as folder:
        gather(sources, boxes, params, settings["folds"], folder, rare=settings["made_tail"])


if __name__ == "__main__":
    sys.exit(run_stage(main))
