"""Stage train_baseline: the classifier's trainer with a plain head, on real images only."""

import sys
from pathlib import Path

from trcgl.classifier.training.leakage import stop_if_leaking
from trcgl.classifier.training.run import TrainingFiles, train_and_save
from trcgl.config import load_params
from trcgl.numerics.processes import is_first_process
from trcgl.runtime.stage import run_stage

FILES = TrainingFiles(
    images=Path("data/images/classifier"),
    labels=Path("data/labels/labels.parquet"),
    classes=Path("data/labels/classes.json"),
)
MODEL = Path("data/models/baseline")
HISTORY = Path("metrics/baseline_history.csv")


def main() -> None:
    params = load_params()
    if is_first_process():
        stop_if_leaking(FILES.labels, FILES.images)
    train_and_save("train_baseline", params, params.baseline, FILES, model=MODEL, history=HISTORY)


if __name__ == "__main__":
    sys.exit(run_stage(main))
