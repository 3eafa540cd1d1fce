"""One arm in one fold with one seed: train, score the fold's test images, judge the maps by the boxes on them."""

import os
import sys

from study.arms import load_study
from study.folds import PLACES
from study.judged import films_with_boxes, judged_places, save_place_maps
from study.places import ROOT, keep_state_in_studies
from study.predictions import held_out_predictions
from study.runs import fold_files, fold_steps
from trcgl.classifier.training.run import train_and_save
from trcgl.runtime.files import directory_beside, write_parquet
from trcgl.runtime.stage import run_stage


def main() -> None:
    arm, fold, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    keep_state_in_studies()
    study = load_study(".")
    params, files, entry = study.arm_params(arm, seed), fold_files(study, arm, fold, seed), study.arms[arm]
    # Paths in a params file are relative to the project's root
    os.chdir(ROOT)
    with directory_beside(study.folder / f"runs/{arm}-{fold}-{seed}") as folder:
        name = f"{study.name}-{arm}-{fold}-{seed}"
        trained = train_and_save(
            name, params, params.classifier, files,
            model=None if entry.reported else folder / "model", history=folder / "history.csv",
            steps_per_epoch=fold_steps(study, arm, fold),
        )  # fmt: skip
        if not entry.reported:
            return
        write_parquet(folder / "predictions.parquet", held_out_predictions(trained.model, files, ("test",)))
        films = films_with_boxes(files, study.data / PLACES, params.images.resize)
        write_parquet(folder / "places.parquet", judged_places(trained.model, films))
        save_place_maps(folder, trained.model, films)


if __name__ == "__main__":
    sys.exit(run_stage(main))
