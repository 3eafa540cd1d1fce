"""The pool of a fold and seed: grafts by the judge's class activation maps, of which those stay that it sees."""

import sys

from study.arms import load_study
from study.fold_grafts import cam_regions, count_grafts, fold_images, grafts_of_fold, seen_grafts
from study.places import keep_state_in_studies
from study.pools import write_pool
from study.runs import fold_files
from trcgl.classifier.network.model import Classifier
from trcgl.numerics.device import use_threads
from trcgl.runtime.files import write_csv
from trcgl.runtime.stage import run_stage

JUDGE, POOL = "judge", "cam_grafts"


def main() -> None:
    fold, seed = int(sys.argv[1]), int(sys.argv[2])
    keep_state_in_studies()
    study = load_study(".")
    params = study.params({"sampling.seed": seed})
    use_threads(params.compute.threads)
    films = fold_images(fold_files(study, JUDGE, fold, seed))
    judge = Classifier.load(study.folder / f"runs/{JUDGE}-{fold}-{seed}/model")
    planned = grafts_of_fold(films, params.sampling, cam_regions(judge, films.images, params.sampling.region_threshold))
    kept = seen_grafts(planned, judge, films, params.audit)
    pool = study.pool_of(POOL, f"{fold}-{seed}")
    write_pool(pool, "cam-grafts", kept.entries, kept.pictures, films.images.size)
    write_csv(pool / "counts.csv", count_grafts(planned, kept))


if __name__ == "__main__":
    sys.exit(run_stage(main))
