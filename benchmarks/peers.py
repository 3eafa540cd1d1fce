"""Libraries that only the benchmarks need, for comparison (benchmarks/requirements.txt)."""

import contextlib
import importlib
import io
from pathlib import Path
from typing import Any

TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"


def torchxrayvision() -> Any | None:
    """The module; None if it is not installed."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return importlib.import_module("torchxrayvision")
    except ModuleNotFoundError:
        return None


def padchest_table() -> Path | None:
    """PadChest's real label table, which torchxrayvision ships; None if it is missing."""
    module = torchxrayvision()
    path = Path(module.__file__).parent / "data" / TABLE if module else None
    return path if path and path.exists() else None
