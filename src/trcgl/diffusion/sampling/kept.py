"""Intermediate results of a run, one file per part, so that the next run and other processes can reuse them.

The files are .npz. Their checksum shows when a crash of the machine has damaged a file; such a part is made again.
"""

import zipfile
from pathlib import Path

import numpy as np

from trcgl.runtime.files import written_beside
from trcgl.runtime.logging import get_logger

log = get_logger("diffusion")


def keep(file: Path, pixels: np.ndarray) -> None:
    """Write the pixels to `file`, whole or not at all."""
    with written_beside(file) as beside:
        np.savez_compressed(beside, pixels=pixels)


def kept(file: Path) -> np.ndarray | None:
    """Read what `keep` wrote; None if the file is missing, damaged or cut short."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return arrays["pixels"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        log.warning("%s is damaged or cut short and counts as not made", file)
        return None
