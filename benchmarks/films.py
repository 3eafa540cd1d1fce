"""Files like PadChest's: 16-bit grey PNGs of 2,500 px, smooth anatomy with detector noise, about 9 MB each."""

from pathlib import Path

import cv2
import numpy as np

from trcgl.numerics.seeding import rng


def write_film(path: Path, number: int, side: int = 2500) -> None:
    draw = rng("film", number)
    coarse = draw.uniform(8000, 40000, (12, 12)).astype(np.float32)
    anatomy = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    noise = draw.normal(0, 150, (side, side)).astype(np.float32)
    cv2.imwrite(str(path), np.clip(anatomy + noise, 0, 65535).astype(np.uint16))
