"""The classifier's backbone pre-trained on what the base generator saw, for as many steps as synthetic images get."""

import os
import sys
from pathlib import Path

from trcgl.classifier.data import load_training_data
from trcgl.classifier.run import TrainingFiles, train_and_save
from trcgl.classifier.sampling import sampling_factors, steps_of_epoch
from trcgl.evaluation.study import load_study
from trcgl.runtime.errors import exit_code
from trcgl.runtime.files import directory_beside

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    arm, seed = sys.argv[1], int(sys.argv[2])
    os.environ.setdefault("DVC_ROOT", str(ROOT))
    study = load_study(".")
    params = study.pretraining_params(arm, seed)
    knobs = params.classifier
    real = load_training_data(
        ROOT / "data/images/classifier", ROOT / "data/labels/labels.parquet", ROOT / "data/labels/classes.json"
    )
    # An epoch of the arm that is imitated, on other images: a step costs the same whatever is in it
    factors = sampling_factors(knobs, real.targets[real.train])
    base = study.base
    with directory_beside(f"runs/backbone-{arm}-{seed}") as folder:
        train_and_save(
            f"ablation-backbone-{arm}-{seed}",
            params,
            knobs,
            TrainingFiles(base / "images/classifier", base / "labels/labels.parquet", base / "labels/classes.json"),
            model=folder / "model",
            history=folder / "history.csv",
            steps_per_epoch=steps_of_epoch(factors, knobs.batch_size),
        )


if __name__ == "__main__":
    sys.exit(exit_code(main))
