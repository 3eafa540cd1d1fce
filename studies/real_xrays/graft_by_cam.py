"""The pool of a fold and seed: grafts by the judge's class activation maps, of which those stay that it sees."""

import sys

from study.arms import load_study
from study.fold_grafts import seen_grafts
from study.places import keep_state_in_studies
from study.pools import write_pool
from study.runs import fold_files
from trcgl.classifier.network.model import Classifier
from trcgl.numerics.device import use_threads
from trcgl.runtime.files import write_csv
from trcgl.runtime.stage import run_stage

JUDGE = "judge"


def main() -> None:
    fold, seed = int(sys.argv[1]), int(sys.argv[2])
    keep_state_in_studies()
    study = load_study(".")
    params, files = study.params({"sampling.seed": seed}), fold_files(study, JUDGE, fold, seed)
    use_threads(params.compute.threads)
    judge = Classifier.load(study.folder / f"runs/{JUDGE}-{fold}-{seed}/model")
    kept, pictures, counts = seen_grafts(judge, files, params)
    pool = study.pool_of("cam_grafts", f"{fold}-{seed}")
    write_pool(pool, "cam-grafts", kept, pictures, params.images.classifier_size)
    write_csv(pool / "counts.csv", counts)


if __name__ == "__main__":
    sys.exit(run_stage(main))
