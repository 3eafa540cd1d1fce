"""List the image files of the data set: data/manifest.parquet."""

import sys

from trcgl.config import load_params
from trcgl.images.manifest import scan_images
from trcgl.runtime.files import write_parquet
from trcgl.runtime.stage import run_stage


def main() -> None:
    params = load_params()
    write_parquet("data/manifest.parquet", scan_images(params.dataset.images))


if __name__ == "__main__":
    sys.exit(run_stage(main))
