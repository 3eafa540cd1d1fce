"""Stage train_classifier: attention and label graph on top, trained on real and accepted synthetic images."""

import sys
from pathlib import Path

import torch

from trcgl.classifier.backbone import warn_if_seen
from trcgl.classifier.data import load_training_data
from trcgl.classifier.train import train
from trcgl.config import load_params
from trcgl.graph.cooccurrence import Cooccurrence
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.errors import exit_code
from trcgl.runtime.files import write_csv

IMAGES = Path("data/images/classifier")
LABELS = Path("data/labels/labels.parquet")
CLASSES = Path("data/labels/classes.json")
GRAPH = Path("data/graph/cooccurrence.npz")
SYNTHETIC = Path("data/synthetic")
AUDIT = Path("data/synthetic_audit.parquet")
MODEL = Path("data/models/classifier")
HISTORY = Path("metrics/classifier_history.csv")


def main() -> None:
    params = load_params()
    torch.set_num_threads(params.compute.threads)
    warn_if_seen(params.classifier.weights_have_seen, params.dataset.name)
    # The pixels follow from the index and the parameters that made them; hashing them all would take minutes
    resume = ResumePoint(
        "train_classifier",
        params=(params.classifier, params.compute, params.images, params.dataset),
        inputs=[IMAGES / "index.parquet", LABELS, CLASSES, GRAPH, SYNTHETIC, AUDIT],
    )
    data = load_training_data(IMAGES, LABELS, CLASSES, synthetic=SYNTHETIC, audit=AUDIT)
    conditional = Cooccurrence.load(GRAPH).conditional_for(data.class_names)
    trained = train(params.classifier, data, params.compute, conditional=conditional, resume=resume)
    trained.model.save(MODEL)
    write_csv(HISTORY, trained.history)
    resume.clear()


if __name__ == "__main__":
    sys.exit(exit_code(main))
