"""Tables of places: masks of findings, one row per image and finding.

The columns are image, finding and mask. A mask is an 8-bit PNG, 255 inside. Masks written by read_boxes are in the
square that a network reads, with a side of FRAME pixels; the phantom's masks have the size of its images.
"""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from trcgl.runtime.files import read_parquet

FRAME = 256
"""Side in pixels of the square in which masks are stored and compared."""
COLUMNS = ("image", "finding", "mask")


def no_places() -> pd.DataFrame:
    """The empty table, for a data set without known positions."""
    return pd.DataFrame({"image": [], "finding": [], "mask": []}, dtype=object)


def read_place_table(path: str | Path) -> pd.DataFrame:
    """Columns image, finding, mask (PNG).

    Raises:
        InputError: the file is damaged, or a column is missing.
    """
    return read_parquet(path, COLUMNS, only=True)


def encode_mask(mask: np.ndarray) -> bytes:
    """bool [H, W] as PNG, 8 bit, 255 inside."""
    done, buffer = cv2.imencode(".png", mask.astype(np.uint8) * 255)
    assert done
    return buffer.tobytes()


def decode_mask(png: bytes) -> np.ndarray:
    """The mask, bool [H, W], from its PNG."""
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)) > 0
