"""Stage train_classifier: the head with attention and label graph, on real and accepted synthetic images and boxes."""

import sys
from pathlib import Path

from trcgl.classifier.training.run import TrainingFiles, train_and_save
from trcgl.config import load_params
from trcgl.runtime.stage import run_stage

FILES = TrainingFiles(
    images=Path("data/images/classifier"),
    labels=Path("data/labels/labels.parquet"),
    classes=Path("data/labels/classes.json"),
    graph=Path("data/graph/cooccurrence.npz"),
    synthetic=Path("data/synthetic"),
    audit=Path("data/synthetic_audit.parquet"),
    places=Path("data/places/places.parquet"),
)
MODEL = Path("data/models/classifier")
HISTORY = Path("metrics/classifier_history.csv")
VALIDATION = Path("metrics/validation.json")


def main() -> None:
    params = load_params()
    train_and_save(
        "train_classifier", params, params.classifier, FILES, model=MODEL, history=HISTORY, validation=VALIDATION
    )


if __name__ == "__main__":
    sys.exit(run_stage(main))
