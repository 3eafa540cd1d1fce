"""The classification accuracy score (CAS) of a pool: a network learns the tail findings from its images alone."""

import os
import shutil
import sys

from study.arms import load_study
from study.places import ROOT, keep_state_in_studies
from study.predictions import held_out_predictions
from study.runs import real_files, steps_on_real_images
from study.tail_source import films_of_pool
from trcgl.classifier.training.run import train_and_save
from trcgl.runtime.files import directory_beside, write_parquet
from trcgl.runtime.resume_folder import resume_root
from trcgl.runtime.stage import run_stage

ARM = "real_only"
"""Whose parameters and steps the network has."""


def main() -> None:
    pool, replicate = sys.argv[1], int(sys.argv[2])
    keep_state_in_studies()
    study = load_study(".", sys.argv[2])
    params, real = study.arm_params(ARM, replicate), real_files(study.data)
    os.chdir(ROOT)
    # Assembled again after an interruption: it takes seconds and gives the same bytes
    together = resume_root() / f"{study.name}-cas-{pool}-films"
    files = films_of_pool(real, study.pool_of(pool, replicate), together)
    with directory_beside(study.folder / f"runs/cas-{pool}-{replicate}") as folder:
        trained = train_and_save(
            f"{study.name}-cas-{pool}",
            params,
            params.classifier,
            files,
            model=None,
            history=folder / "history.csv",
            steps_per_epoch=steps_on_real_images(params.classifier, real),
        )
        write_parquet(folder / "predictions.parquet", held_out_predictions(trained.model, real, ("val",)))
        shutil.copy(real.classes, folder / "classes.json")
    shutil.rmtree(together)


if __name__ == "__main__":
    sys.exit(run_stage(main))
