"""Decode the selected images once: data/images/classifier/, data/images/diffusion/, data/images/unreadable.parquet."""

import os
import sys
from pathlib import Path

import pandas as pd

from trcgl.config import load_params
from trcgl.images.cache import cache_images
from trcgl.runtime.errors import exit_code
from trcgl.runtime.resume_folder import resume_folder

SELECTED, MANIFEST = "data/labels/selected.parquet", "data/manifest.parquet"


def main() -> None:
    params = load_params()
    workers = params.compute.workers or os.cpu_count() or 1
    kept = resume_folder("cache_images", params=(params.images, params.dataset), inputs=[SELECTED, MANIFEST])
    cache_images(
        pd.read_parquet(SELECTED), params.dataset.images, params.images, Path("data/images"), workers, kept=kept
    )


if __name__ == "__main__":
    sys.exit(exit_code(main))
