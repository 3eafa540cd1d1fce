"""The pool oracle of a replicate: fresh real images of new patients, as many as drawn_informed has accepted images."""

import sys

from study.arms import load_study
from study.fresh_films import cached_picture, fresh_films
from study.places import keep_state_in_studies
from study.pools import accepted_counts, write_pool
from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.preparation import Preparation
from trcgl.runtime.stage import run_stage


def main() -> None:
    replicate = sys.argv[1]
    keep_state_in_studies()
    study = load_study(".", replicate)
    params = study.params()
    names = [entry["name"] for entry in read_classes(study.data / "labels/classes.json")["classes"]]
    wanted = accepted_counts(study.pool_of("drawn_informed", int(replicate)))
    films = fresh_films(params.dataset, wanted, names)
    size, preparation = params.images.classifier_size, Preparation.from_params(params.images)
    pictures = (cached_picture(view, preparation, size) for _, view in films)
    out = study.pool_of("oracle", int(replicate))
    write_pool(out, "oracle", [extra for extra, _ in films], pictures, size)


if __name__ == "__main__":
    sys.exit(run_stage(main))
