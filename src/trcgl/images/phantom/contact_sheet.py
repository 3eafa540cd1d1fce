"""A picture of every finding: plain films above, the same with the lesion outlined below.

python -m trcgl.images.phantom.contact_sheet OUT.png
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trcgl.images.phantom.catalogue import NAMES
from trcgl.images.phantom.render import View, render
from trcgl.runtime.files import written_beside


def contact_sheet(
    examples: int = 5, size: int = 256, seed: int = 0, names: tuple[str, ...] = NAMES
) -> NDArray[np.uint8]:
    """One band a finding of two rows by `examples` films: BGR, (2 rows + caption) x findings high."""
    return np.vstack([_band(name, examples, size, seed) for name in names])


def _band(name: str, examples: int, size: int, seed: int) -> NDArray[np.uint8]:
    plain, outlined = [], []
    for k in range(examples):
        key = f"sheet/{name}/{k}"
        projection = "AP_horizontal" if k % 5 == 4 else "PA"
        view = View(seed, key, key, projection, female=k % 2 == 1, age=40 + 9 * k, findings=(name,))
        film, masks = render(view, size)
        gray = cv2.cvtColor((film >> 8).astype(np.uint8), cv2.COLOR_GRAY2BGR)
        plain.append(gray)
        marked = gray.copy()
        for mask in masks.values():
            contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(marked, contours, -1, (0, 200, 255), 1)
        outlined.append(marked)
    caption = np.zeros((18, size * examples, 3), np.uint8)
    cv2.putText(caption, name, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return np.vstack([caption, np.hstack(plain), np.hstack(outlined)])


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "phantom.png")
    with written_beside(out) as beside:
        cv2.imwrite(str(beside), contact_sheet())


if __name__ == "__main__":
    main()
