"""Pre-train an arm's backbone on the base generator's training images, for as many steps as the arm then takes."""

import os
import sys

from study.arms import load_study
from study.places import ROOT, keep_state_in_studies
from study.runs import real_files, steps_on_real_images
from trcgl.classifier.training.run import TrainingFiles, train_and_save
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import directory_beside
from trcgl.runtime.stage import run_stage


def main() -> None:
    arm, seed = sys.argv[1], int(sys.argv[2])
    keep_state_in_studies()
    study = load_study(".")
    if (base := study.base) is None:
        raise InputError(f"{study.file}: names no 'base'; arm '{arm}' needs its images")
    params = study.pretraining_params(arm, seed, study.chosen(arm))
    os.chdir(ROOT)
    knobs, files = params.classifier, real_files(study.data)
    with directory_beside(study.folder / f"runs/backbone-{arm}-{seed}") as folder:
        train_and_save(
            f"{study.name}-backbone-{arm}-{seed}",
            params,
            knobs,
            TrainingFiles(base / "images/classifier", base / "labels/labels.parquet", base / "labels/classes.json"),
            model=folder / "model",
            history=folder / "history.csv",
            # The steps of the arm's own training, whatever the number of images here
            steps_per_epoch=steps_on_real_images(knobs, files),
        )


if __name__ == "__main__":
    sys.exit(run_stage(main))
