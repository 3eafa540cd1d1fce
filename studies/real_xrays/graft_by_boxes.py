"""A pool of a fold and seed: grafts by the boxes of the training images that stay."""

import sys

from study.arms import load_study
from study.fold_grafts import box_regions, fold_images, grafts_of_fold, without_tail
from study.folds import PLACES
from study.places import keep_state_in_studies
from study.pools import write_pool
from study.runs import fold_files
from trcgl.artifacts.places import read_place_table
from trcgl.runtime.errors import InputError
from trcgl.runtime.stage import run_stage

ANY = "box_grafts_any"
"""The pool whose regions are laid into films with other findings, too."""


def main() -> None:
    pool, fold, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    keep_state_in_studies()
    study = load_study(".")
    params, films = study.params({"sampling.seed": seed}), fold_images(fold_files(study, pool, fold, seed))
    regions = box_regions(read_place_table(study.data / PLACES), films.images.size)
    carriers = without_tail(films.rows) if pool == ANY else None
    made = grafts_of_fold(films, params.sampling, regions, carriers)
    if not made.entries:
        raise InputError(
            f"{study.data / PLACES}: no training film of fold {fold} has a box of a tail finding, so there is nothing "
            f"to graft; give boxes of such films in {study.file}"
        )
    write_pool(
        study.pool_of(pool, f"{fold}-{seed}"), pool.replace("_", "-"), made.entries, made.pictures, films.images.size
    )


if __name__ == "__main__":
    sys.exit(run_stage(main))
