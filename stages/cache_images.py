"""Decode the selected images once: data/images/classifier/, data/images/diffusion/, data/images/unreadable.parquet."""

import os
import sys
from pathlib import Path

import pandas as pd

from trcgl.config import load_params
from trcgl.images.cache import cache_images
from trcgl.runtime.errors import exit_code


def main() -> None:
    params = load_params()
    selected = pd.read_parquet("data/labels/selected.parquet")
    workers = params.compute.workers or os.cpu_count() or 1
    cache_images(selected, params.dataset.images, params.images, Path("data/images"), workers)


if __name__ == "__main__":
    sys.exit(exit_code(main))
