"""Draw images of the tail findings: data/synthetic/ and metrics/plots/sample_tail/real_beside_synthetic.png."""

import sys
from pathlib import Path

import pandas as pd
import torch

from trcgl.config import load_params
from trcgl.diffusion.contact import real_beside_synthetic
from trcgl.diffusion.rows import training_rows
from trcgl.diffusion.sample import draw_all, plan_samples, write_samples
from trcgl.diffusion.saved import load_generator
from trcgl.images.shards import ShardedImages
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.device import pick_device, pick_dtype
from trcgl.runtime.errors import exit_code
from trcgl.runtime.files import directory_beside, read_json

IMAGES, MODEL = "data/images/diffusion", "data/models/diffusion"
LABELS, CLASSES = "data/labels/labels.parquet", "data/labels/classes.json"


def main() -> None:
    params = load_params()
    torch.set_num_threads(params.compute.threads)
    device = pick_device(params.compute.device)
    images = ShardedImages(IMAGES)
    rows = training_rows(pd.read_parquet(LABELS), read_json(CLASSES), list(images.index["image"]))
    dtype = torch.float32 if device.type == "cpu" else pick_dtype(device, params.compute.precision)
    generator = load_generator(MODEL, device, dtype)
    plan = plan_samples(rows, generator.card, params.sampling)
    resume = ResumePoint(
        "sample_tail", params=(params.sampling, params.compute), inputs=[MODEL, IMAGES, LABELS, CLASSES]
    )
    pixels = draw_all(generator, plan, params.sampling, resume.folder)
    write_samples(Path("data/synthetic"), plan, pixels, generator.card.size, params.images.shard_images)
    with directory_beside("metrics/plots/sample_tail") as folder:
        real_beside_synthetic(folder / "real_beside_synthetic.png", rows, images, plan, pixels)
    resume.clear()


if __name__ == "__main__":
    sys.exit(exit_code(main))
