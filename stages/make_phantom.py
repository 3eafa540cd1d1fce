"""Stage make_phantom: render the embedded data set into data/phantom (only a note for any other data set)."""

import sys
from pathlib import Path

from trcgl.config import load_params
from trcgl.phantom import make_phantom
from trcgl.runtime.stage import run_stage

FOLDER = Path("data/phantom")


def main() -> None:
    params = load_params("params.yaml")
    make_phantom(params.dataset, FOLDER, params.compute.workers)


if __name__ == "__main__":
    sys.exit(run_stage(main))
