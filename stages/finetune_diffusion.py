"""Train the generator of rare findings: data/models/diffusion/ and the loss curve metrics/diffusion_loss.csv."""

import sys

import pandas as pd
import torch

from trcgl.config import load_params
from trcgl.diffusion.finetune import finetune
from trcgl.diffusion.loop import Journal
from trcgl.diffusion.rows import class_names, training_rows
from trcgl.images.shards import ShardedImages
from trcgl.labels.vocabulary import phrases
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.device import pick_device
from trcgl.runtime.errors import exit_code
from trcgl.runtime.files import directory_beside, read_json, write_csv

IMAGES, LABELS, CLASSES = "data/images/diffusion", "data/labels/labels.parquet", "data/labels/classes.json"


def main() -> None:
    params = load_params()
    torch.set_num_threads(params.compute.threads)
    images = ShardedImages(IMAGES)
    classes = read_json(CLASSES)
    rows = training_rows(pd.read_parquet(LABELS), classes, list(images.index["image"]))
    named = phrases(class_names(classes), params.labels.vocabulary)
    resume = ResumePoint(
        "finetune_diffusion", params=(params.diffusion, params.compute, named), inputs=[IMAGES, LABELS, CLASSES]
    )
    journal = Journal(resume)
    with directory_beside("data/models/diffusion") as folder:
        finetune(
            params.diffusion, rows, images, named, folder,
            journal=journal, device=pick_device(params.compute.device), precision=params.compute.precision,
        )  # fmt: skip
    write_csv("metrics/diffusion_loss.csv", journal.curve())
    resume.clear()


if __name__ == "__main__":
    sys.exit(exit_code(main))
