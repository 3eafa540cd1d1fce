"""Boxes and masks, brought into the square that the network sees.

Masks and boxes come in the frame of the image file. A picture goes through `resize_square` on its way to the network,
so a mask goes through the same function, with the same mode: padding and cropping are then the same by construction
(to the rounding of half a pixel of the network's size). The side is FRAME for every data set, so that a tolerance in
pixels means the same share of a picture everywhere. A mask that is in the square already stays as it is.
"""

import numpy as np
import pandas as pd

from trcgl.artifacts.places import COLUMNS, FRAME, encode_mask
from trcgl.images.resize import resize_square

BOX_FRAME = 1024
"""Pixels on the longer side of masks that are made of boxes: NIH's own."""


def box_mask(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """The union of boxes as a mask: every pixel whose centre lies in one of them.

    Args:
        boxes: [n, 4] of x, y (the upper left corner), width and height in pixels, as NIH's BBox_List_2017.csv has them.
        height, width: of the image that they were drawn in.

    Returns:
        bool [height, width].
    """
    x, y, across, down = np.asarray(boxes, dtype=np.float64).reshape(-1, 4, 1).transpose(1, 0, 2)
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    inside_rows = (rows >= y) & (rows < y + down)
    inside_columns = (columns >= x) & (columns < x + across)
    return np.any(inside_rows[:, :, None] & inside_columns[:, None, :], axis=0)


def box_lesions(boxes: pd.DataFrame) -> pd.DataFrame:
    """Boxes as a table of places in the frames of the originals: image, finding, mask (PNG).

    The boxes that one reader drew of a finding in an image are united. Of several readers who marked a finding in an
    image, what half of them have marked is its place, or, where no pixel is, what any of them has.

    Args:
        boxes: image, finding, reader, and x, y, w, h in pixels of the original image of size width, height.
    """
    rows = [(*pair, encode_mask(agreed_mask(part))) for pair, part in boxes.groupby(["image", "finding"])]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def agreed_mask(boxes: pd.DataFrame) -> np.ndarray:
    """bool [H, W] of one finding in one image, in the original's shape, with BOX_FRAME pixels on the longer side."""
    width, height = boxes[["width", "height"]].iloc[0]
    scale = BOX_FRAME / max(width, height)
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    masks = [box_mask(part[["x", "y", "w", "h"]].to_numpy() * scale, *shape) for _, part in boxes.groupby("reader")]
    votes = np.sum(masks, axis=0)
    agreed = 2 * votes >= len(masks)
    return agreed if agreed.any() else votes > 0


def in_frame(mask: np.ndarray, resize: str) -> np.ndarray:
    """A mask of the image file as the network's square shows it.

    Args:
        mask: bool [H, W] at the size of the file, or of the same shape at another scale.
        resize: `pad` or `crop`, as the picture was resized.

    Returns:
        bool [FRAME, FRAME]: pixels that the mask covers by half at least; if it covers none so far (it is tiny), those
        that it covers most. All False if it was cropped away.
    """
    covered = resize_square(mask.astype(np.uint8) * 255, FRAME, resize)
    return (covered > 0) & (covered >= min(128, covered.max()))
