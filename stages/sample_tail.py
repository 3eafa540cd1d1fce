"""Generate images of the tail findings: data/synthetic/ and metrics/plots/sample_tail/real_beside_synthetic.png.

On several GPUs or machines that share the folder: PYTHONPATH=src accelerate launch ... stages/sample_tail.py
"""

import sys
from pathlib import Path

from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.shards import ShardedImages
from trcgl.config import load_params
from trcgl.diffusion.generator.rows import ABOUT, training_rows
from trcgl.diffusion.generator.saved import base_outside, has_generator, load_generator
from trcgl.diffusion.sampling.contact import real_beside_synthetic
from trcgl.diffusion.sampling.grafted_plan import find_share, plan_images, regions_seen
from trcgl.diffusion.sampling.micro_batches import check_room, draw_share, kept_images
from trcgl.diffusion.sampling.plan import Sample
from trcgl.diffusion.sampling.samples_file import write_samples
from trcgl.numerics.device import computed_in, pick_device, pick_dtype, use_threads
from trcgl.numerics.processes import join_processes
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.cores import warn_if_crowded
from trcgl.runtime.files import directory_beside, read_parquet
from trcgl.runtime.memory import naming_the_knob
from trcgl.runtime.stage import run_stage

IMAGES, MODEL, SYNTHETIC = "data/images/diffusion", "data/models/diffusion", Path("data/synthetic")
LABELS, CLASSES = "data/labels/labels.parquet", "data/labels/classes.json"
INPUTS = (MODEL, f"{IMAGES}/index.parquet", LABELS, CLASSES)


def main() -> None:
    params = load_params()
    device = pick_device(params.compute.device)
    state = join_processes(device)
    use_threads(params.compute.threads)
    images = ShardedImages(IMAGES)
    labels = read_parquet(LABELS, ABOUT)
    rows = training_rows(labels, read_classes(CLASSES), list(images.index["image"]))
    resume, plan, drawn = None, list[Sample](), iter(())
    if has_generator(MODEL):
        of = (params.sampling, params.compute, computed_in(device, params.compute.precision))
        resume = ResumePoint("sample_tail", params=of, inputs=(*INPUTS, *base_outside(MODEL)))
        dtype = pick_dtype(device, params.compute.precision)
        # Near white, bfloat16 distinguishes fewer values than an image has grey levels
        with naming_the_knob(None):
            generator = load_generator(MODEL, device, dtype, autoencoder=pick_dtype(device, "fp32"))
        check_room(rows, images.size, params.sampling, resume.folder)
        if state.is_main_process:
            warn_if_crowded(params.compute.threads)
        share = {"process": state.process_index, "processes": state.num_processes}
        regions = regions_seen(generator, rows, images, params.sampling, resume.folder)
        find_share(regions, rows, params.sampling, **share)
        # Every process makes the same plan, from the same regions
        state.wait_for_everyone()
        plan = plan_images(generator, rows, images, params.sampling, regions)
        draw_share(generator, plan, images, params.sampling, resume.folder, regions=regions, **share)
        drawn = kept_images(plan, params.sampling, resume.folder)
    state.wait_for_everyone()
    if state.is_main_process:
        write_samples(SYNTHETIC, plan, drawn, images.size)
        with directory_beside("metrics/plots/sample_tail") as folder:
            real_beside_synthetic(folder / "real_beside_synthetic.png", rows, images, plan, ShardedImages(SYNTHETIC))
        if resume is not None:
            resume.clear()
    state.destroy_process_group()


if __name__ == "__main__":
    sys.exit(run_stage(main))
