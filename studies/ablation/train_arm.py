"""One arm with one seed: train the classifier, predict the validation and test images."""

import dataclasses
import os
import sys

import pandas as pd

from study.arms import JUDGE, load_study
from study.places import ROOT, keep_state_in_studies
from study.predictions import split_predictions
from study.runs import arm_files, steps_like
from trcgl.artifacts.class_list import read_classes
from trcgl.classifier.network.predict import predict
from trcgl.classifier.training.run import train_and_save
from trcgl.evaluation.split import load_split
from trcgl.runtime.files import directory_beside, read_parquet, write_json, write_parquet
from trcgl.runtime.stage import run_stage


def main() -> None:
    arm, seed = sys.argv[1], int(sys.argv[2])
    keep_state_in_studies()
    study = load_study(".")
    params = study.arm_params(arm, seed, study.chosen_rate(arm))
    # Paths in a params file are as seen from the project
    os.chdir(ROOT)
    knobs = params.classifier
    if study.arms[arm].pretrained_like is not None:
        weights = study.folder / f"runs/backbone-{arm}-{seed}/model/model.safetensors"
        knobs = dataclasses.replace(knobs, initial_weights=str(weights))
    with directory_beside(study.run_of(arm, seed)) as folder:
        files = arm_files(study, arm, seed, knobs)
        labels = read_parquet(files.labels, ["image", "patient", "split"])
        classes = read_classes(files.classes)["classes"]
        model = folder / "model" if arm == JUDGE else None
        name = f"{study.name}-{arm}-{seed}"
        steps = steps_like(study, arm, files)
        history = folder / "history.csv"
        trained = train_and_save(name, params, knobs, files, model=model, history=history, steps_per_epoch=steps)
        parts = []
        for split in ("val", "test"):
            data = load_split(split, labels, classes, files.images)
            parts.append(split_predictions(split, data, predict(trained.model, data.images)))
        write_json(folder / "extra.json", {"extra_images": trained.extra_images})
        write_parquet(folder / "predictions.parquet", pd.concat(parts, ignore_index=True))


if __name__ == "__main__":
    sys.exit(run_stage(main))
