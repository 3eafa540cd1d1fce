"""Train the generator of rare findings: data/models/diffusion, metrics/diffusion.json, metrics/diffusion_loss.csv.

On several GPUs or machines that share the folder: PYTHONPATH=src accelerate launch ... stages/finetune_diffusion.py
"""

import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.shards import ShardedImages
from trcgl.artifacts.vocabulary import phrases
from trcgl.config import Params, load_params
from trcgl.diffusion.finetuning.finetune import finetune, pinned
from trcgl.diffusion.finetuning.heldout import HeldOut
from trcgl.diffusion.finetuning.journal import Journal
from trcgl.diffusion.generator.base_files import own_folder
from trcgl.diffusion.generator.rows import ABOUT, class_names, labelled_rows, training_rows
from trcgl.diffusion.generator.saved import write_no_generator
from trcgl.numerics.device import computed_in, pick_device, use_threads
from trcgl.numerics.processes import Processes, training_together
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.files import directory_beside, read_parquet, write_csv, write_json
from trcgl.runtime.memory import naming_the_knob
from trcgl.runtime.stage import run_stage

IMAGES, LABELS, CLASSES = "data/images/diffusion", "data/labels/labels.parquet", "data/labels/classes.json"
MODEL, CURVE = "data/models/diffusion", "metrics/diffusion_loss.csv"


def main() -> None:
    params = load_params()
    if params.diffusion.base is None:
        write_no_generator(MODEL)
        return write_results(Journal(), HeldOut())
    device = pick_device(params.compute.device)
    with training_together(device) as processes:
        return run(params, device, processes)


def run(params: Params, device: Any, processes: Processes) -> None:
    use_threads(params.compute.threads)
    images, classes, diffusion = ShardedImages(IMAGES), read_classes(CLASSES), pinned(params.diffusion)
    table, available = read_parquet(LABELS, ABOUT), list(images.index["image"])
    rows, held_out = training_rows(table, classes, available), labelled_rows(table, classes, available, "val")
    named = phrases(class_names(classes), params.labels.vocabulary)
    inputs = [f"{IMAGES}/index.parquet", LABELS, CLASSES, *own_folder(diffusion.base)]
    of = (diffusion, params.compute, computed_in(device, params.compute.precision), params.dataset, named)
    resume = ResumePoint("finetune_diffusion", params=of, inputs=inputs)
    journal = Journal(resume, writes=processes.first, tell=lambda curve: write_csv(CURVE, curve))
    # All processes end with the same generator; only the first one saves it
    with directory_beside(MODEL) if processes.first else TemporaryDirectory() as folder, naming_the_knob(None):
        loss = finetune(
            diffusion, rows, held_out, images, named, Path(folder),
            journal=journal, device=device, precision=params.compute.precision, processes=processes,
        )  # fmt: skip
    if processes.first:
        write_results(journal, loss)
        resume.clear()


def write_results(journal: Journal, loss: HeldOut) -> None:
    write_csv(CURVE, journal.curve())
    write_json("metrics/diffusion.json", {"held_out_tail_loss": asdict(loss)})


if __name__ == "__main__":
    sys.exit(run_stage(main))
