"""One arm with one seed: train the classifier, predict the validation and test images."""

import dataclasses
import os
import sys
from pathlib import Path

import pandas as pd

from trcgl.classifier.predict import predict
from trcgl.classifier.run import TrainingFiles, train_and_save
from trcgl.evaluation.split import load_split, split_predictions
from trcgl.evaluation.study import load_study
from trcgl.runtime.errors import exit_code
from trcgl.runtime.files import directory_beside, read_json, write_json, write_parquet

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    arm, seed = sys.argv[1], int(sys.argv[2])
    os.environ.setdefault("DVC_ROOT", str(ROOT))
    study = load_study(".")
    params = study.params(arm, seed)
    knobs = params.classifier
    if study.arms[arm].pretrained_like is not None:
        weights = f"runs/backbone-{arm}-{seed}/model/model.safetensors"
        knobs = dataclasses.replace(knobs, initial_weights=weights)
    generator, extra = Path(f"runs/generator-{seed}"), knobs.extra_source != "none"
    files = TrainingFiles(
        images=ROOT / "data/images/classifier",
        labels=ROOT / "data/labels/labels.parquet",
        classes=ROOT / "data/labels/classes.json",
        graph=ROOT / "data/graph/cooccurrence.npz",
        synthetic=generator / "synthetic" if extra else None,
        audit=generator / "synthetic_audit.parquet" if extra else None,
    )
    labels, classes = pd.read_parquet(files.labels), read_json(files.classes)["classes"]
    with directory_beside(f"runs/{arm}-{seed}") as folder:
        trained = train_and_save(
            f"ablation-{arm}-{seed}", params, knobs, files, model=None, history=folder / "history.csv"
        )
        parts = []
        for split in ("val", "test"):
            data = load_split(split, labels, classes, files.images)
            parts.append(split_predictions(split, data, predict(trained.model, data.images)))
        write_json(folder / "extra.json", {"extra_images": trained.extra_images})
        write_parquet(folder / "predictions.parquet", pd.concat(parts, ignore_index=True))


if __name__ == "__main__":
    sys.exit(exit_code(main))
