"""Convert boxes and masks to the square that the network reads.

Masks and boxes are given in the coordinates of the image file. Images go through `resize_square` before the network, so
masks go through the same function with the same mode. Padding and cropping are then the same by construction (up to a
rounding of half a pixel at the network's size). The side is FRAME for every data set, so that a tolerance in pixels is
the same fraction of an image everywhere. A mask that is already in the square is not changed.
"""

import numpy as np
import pandas as pd

from trcgl.artifacts.places import FRAME
from trcgl.images.resize import resize_square

BOX_FRAME = 1024
"""Pixels on the longer side of masks that are made from boxes; NIH's own image size."""


def box_mask(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """The union of boxes as a mask: every pixel whose centre lies in one of them.

    Args:
        boxes: [n, 4] of x, y (the upper left corner), width and height in pixels, as NIH's BBox_List_2017.csv has them.
        height, width: of the image that the boxes refer to.

    Returns:
        bool [height, width].
    """
    x, y, across, down = np.asarray(boxes, dtype=np.float64).reshape(-1, 4, 1).transpose(1, 0, 2)
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    inside_rows = (rows >= y) & (rows < y + down)
    inside_columns = (columns >= x) & (columns < x + across)
    return np.any(inside_rows[:, :, None] & inside_columns[:, None, :], axis=0)


def agreed_mask(boxes: pd.DataFrame) -> np.ndarray:
    """Mask of one finding in one image: bool [H, W], with the original's aspect ratio and BOX_FRAME as longer side.

    The mask of a reader is the union of this reader's boxes. A pixel belongs to the final mask if at least half of the
    readers who marked the finding have marked it. If there is no such pixel, it is the union of all readers' masks.

    Args:
        boxes: reader, and x, y, w, h in pixels of the original image of size width, height.
    """
    width, height = boxes[["width", "height"]].iloc[0]
    scale = BOX_FRAME / max(width, height)
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    masks = [box_mask(part[["x", "y", "w", "h"]].to_numpy() * scale, *shape) for _, part in boxes.groupby("reader")]
    votes = np.sum(masks, axis=0)
    agreed = 2 * votes >= len(masks)
    return agreed if agreed.any() else votes > 0


def in_frame(mask: np.ndarray, resize: str) -> np.ndarray:
    """A mask in the image file's coordinates, converted to the network's square.

    Args:
        mask: bool [H, W] at the size of the file, or with the same aspect ratio at another scale.
        resize: `pad` or `crop`, the mode in which the image was resized.

    Returns:
        bool [FRAME, FRAME]: the pixels that the mask covers by at least half. If there is none (the mask is tiny), the
        pixels that it covers most. All False if the mask was cropped away.
    """
    covered = resize_square(mask.astype(np.uint8) * 255, FRAME, resize)
    return (covered > 0) & (covered >= min(128, covered.max()))
