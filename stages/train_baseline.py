"""Stage train_baseline: the same trainer with a plain head, on real images only."""

import sys
from pathlib import Path

import torch

from trcgl.classifier.backbone import warn_if_seen
from trcgl.classifier.data import load_training_data
from trcgl.classifier.train import train
from trcgl.config import load_params
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.errors import exit_code
from trcgl.runtime.files import write_csv

IMAGES = Path("data/images/classifier")
LABELS = Path("data/labels/labels.parquet")
CLASSES = Path("data/labels/classes.json")
MODEL = Path("data/models/baseline")
HISTORY = Path("metrics/baseline_history.csv")


def main() -> None:
    params = load_params()
    torch.set_num_threads(params.compute.threads)
    warn_if_seen(params.baseline.weights_have_seen, params.dataset.name)
    # The pixels follow from the index and the parameters that made them; hashing them all would take minutes
    resume = ResumePoint(
        "train_baseline",
        params=(params.baseline, params.compute, params.images, params.dataset),
        inputs=[IMAGES / "index.parquet", LABELS, CLASSES],
    )
    data = load_training_data(IMAGES, LABELS, CLASSES)
    trained = train(params.baseline, data, params.compute, resume=resume)
    trained.model.save(MODEL)
    write_csv(HISTORY, trained.history)
    resume.clear()


if __name__ == "__main__":
    sys.exit(exit_code(main))
