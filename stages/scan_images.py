"""List the image files of the data set: data/manifest.parquet."""

import sys

from trcgl.config import load_params
from trcgl.images.manifest import scan_images
from trcgl.runtime.errors import exit_code
from trcgl.runtime.files import write_parquet


def main() -> None:
    params = load_params()
    write_parquet("data/manifest.parquet", scan_images(params.dataset.images))


if __name__ == "__main__":
    sys.exit(exit_code(main))
