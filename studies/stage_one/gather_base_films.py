"""Gather the images that the informed base has seen, from all its data sets, with their labels."""

import sys

from study.films import joined_films
from study.parameters import load_pipeline
from study.places import keep_state_in_studies
from trcgl.runtime.files import directory_beside
from trcgl.runtime.settings import read_yaml
from trcgl.runtime.stage import run_stage


def main() -> None:
    keep_state_in_studies()
    study = load_pipeline(".")
    settings = read_yaml(study.file)
    pretrain = study.folder / settings["pretrain"]
    seen = read_yaml(pretrain / "params.yaml")["bases"][settings["informed"]]["data_sets"]
    with directory_beside(study.data / "base_films") as folder:
        joined_films([load_pipeline(pretrain, data_set).data for data_set in seen], folder)


if __name__ == "__main__":
    sys.exit(run_stage(main))
