"""One arm with one seed: train the classifier, predict the validation and test images."""

import dataclasses
import os
import sys

from study.arms import JUDGE, load_study
from study.places import ROOT, keep_state_in_studies
from study.predictions import held_out_predictions
from study.runs import arm_files, steps_like
from trcgl.classifier.training.run import train_and_save
from trcgl.runtime.files import directory_beside, write_json, write_parquet
from trcgl.runtime.stage import run_stage


def main() -> None:
    arm, seed = sys.argv[1], int(sys.argv[2])
    keep_state_in_studies()
    study = load_study(".")
    params = study.arm_params(arm, seed, study.chosen(arm))
    # Paths in a params file are relative to the project's root
    os.chdir(ROOT)
    knobs = params.classifier
    if (trained_for := study.arms[arm].backbone) is not None:
        weights = study.folder / f"runs/backbone-{trained_for}-{seed}/model/model.safetensors"
        knobs = dataclasses.replace(knobs, initial_weights=str(weights))
    with directory_beside(study.run_of(arm, seed)) as folder:
        files = arm_files(study, arm, seed, knobs)
        model = folder / "model" if arm == JUDGE else None
        name = f"{study.name}-{arm}-{seed}"
        steps = steps_like(study, arm, files)
        history = folder / "history.csv"
        trained = train_and_save(name, params, knobs, files, model=model, history=history, steps_per_epoch=steps)
        write_json(folder / "extra.json", {"extra_images": trained.extra_images})
        write_parquet(folder / "predictions.parquet", held_out_predictions(trained.model, files))


if __name__ == "__main__":
    sys.exit(run_stage(main))
