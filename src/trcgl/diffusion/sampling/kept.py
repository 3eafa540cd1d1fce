"""Intermediate results of a run, one file per part, so that the next run and other processes can reuse them.

The files are .npz. Their checksum shows when a crash of the machine has damaged a file; such a part is made again.
"""

from pathlib import Path

import numpy as np

from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_arrays, written_beside
from trcgl.runtime.logging import get_logger

log = get_logger("diffusion")


def keep(file: Path, pixels: np.ndarray) -> None:
    """Write the pixels to `file`, whole or not at all."""
    with written_beside(file) as beside:
        np.savez_compressed(beside, pixels=pixels)


def kept(file: Path) -> np.ndarray | None:
    """Read what `keep` wrote; None if the file is missing, damaged or cut short."""
    try:
        return read_arrays(file, ["pixels"])["pixels"]
    except FileNotFoundError:
        return None
    except (InputError, OSError):
        log.warning("%s is damaged or cut short and counts as not made", file)
        return None
