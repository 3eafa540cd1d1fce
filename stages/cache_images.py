"""Decode the selected images once: data/images/classifier/, data/images/diffusion/, data/images/unreadable.parquet."""

import sys
from pathlib import Path

from trcgl.config import load_params
from trcgl.images.cache import cache_images
from trcgl.runtime.cores import usable_cores
from trcgl.runtime.files import read_parquet
from trcgl.runtime.resume_folder import resume_folder
from trcgl.runtime.stage import run_stage

SELECTED, MANIFEST = "data/labels/selected.parquet", "data/manifest.parquet"


def main() -> None:
    params = load_params()
    workers = params.compute.workers or usable_cores()
    kept = resume_folder("cache_images", params=(params.images, params.dataset), inputs=[SELECTED, MANIFEST])
    selected = read_parquet(SELECTED, ["image", "path", "photometric"])
    cache_images(selected, params.dataset.images, params.images, Path("data/images"), workers, kept=kept)


if __name__ == "__main__":
    sys.exit(run_stage(main))
