"""The pool of a fold and seed: grafts by the boxes of the training images that stay."""

import sys

from study.arms import load_study
from study.fold_grafts import box_regions, fold_images, grafts_of_fold
from study.folds import PLACES
from study.places import keep_state_in_studies
from study.pools import write_pool
from study.runs import fold_files
from trcgl.artifacts.places import read_place_table
from trcgl.runtime.stage import run_stage

ARM = "box_grafts"


def main() -> None:
    fold, seed = int(sys.argv[1]), int(sys.argv[2])
    keep_state_in_studies()
    study = load_study(".")
    params, films = study.params({"sampling.seed": seed}), fold_images(fold_files(study, ARM, fold, seed))
    regions = box_regions(read_place_table(study.data / PLACES), films.images.size)
    made = grafts_of_fold(films, params.sampling, regions)
    write_pool(study.pool_of(ARM, f"{fold}-{seed}"), "box-grafts", made.entries, made.pictures, films.images.size)


if __name__ == "__main__":
    sys.exit(run_stage(main))
