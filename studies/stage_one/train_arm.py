"""One arm of one replicate: train the classifier, predict the replicate's validation and test images."""

import os
import shutil
import sys

from study.arms import load_study
from study.places import ROOT, keep_state_in_studies
from study.predictions import held_out_predictions
from study.runs import real_files, replicate_files, steps_like
from trcgl.classifier.training.run import train_and_save
from trcgl.runtime.files import directory_beside, write_json, write_parquet
from trcgl.runtime.stage import run_stage


def main() -> None:
    arm, replicate = sys.argv[1], int(sys.argv[2])
    keep_state_in_studies()
    study = load_study(".", sys.argv[2])
    params = study.arm_params(arm, replicate)
    # Paths in a params file are relative to the project's root
    os.chdir(ROOT)
    entry, files, real = study.arms[arm], replicate_files(study, arm, replicate), real_files(study.data)
    with directory_beside(study.run_of(arm, replicate)) as folder:
        trained = train_and_save(
            f"{study.name}-{arm}",
            params,
            params.classifier,
            files,
            model=None if entry.reported else folder / "model",
            history=folder / "history.csv",
            steps_per_epoch=steps_like(study, arm, real),
            start=None if entry.starts_from is None else study.run_of(entry.starts_from, replicate) / "model",
        )
        write_json(folder / "extra.json", {"extra_images": trained.extra_images})
        if entry.reported:
            write_parquet(folder / "predictions.parquet", held_out_predictions(trained.model, real))
            shutil.copy(real.classes, folder / "classes.json")


if __name__ == "__main__":
    sys.exit(run_stage(main))
