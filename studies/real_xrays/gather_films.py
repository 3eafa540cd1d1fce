"""Gather the study's images: read and label every folder, decode its images once, divide them into folds by patient."""

import sys
from pathlib import Path

from study.gathering import Source, check_films, gather
from study.parameters import load_pipeline
from study.places import keep_state_in_studies
from trcgl.runtime.files import directory_beside
from trcgl.runtime.settings import read_yaml
from trcgl.runtime.stage import run_stage


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
