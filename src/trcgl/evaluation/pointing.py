"""Whether a model's maps are large where the finding is: pointing game, and overlap of maps with masks.

Maps and masks are compared in the square of places/masks.py, with a side of FRAME pixels. Maps are resized to it by
bilinear interpolation between the cells. The position of a cell is the centre of its tile, moved by the backbone's
`receptive_shift`.

Pointing game (Top-down Neural Attention by Excitation Backprop, https://arxiv.org/abs/1608.00507, section 5.1): the
map's maximum (more precise than one cell, see `peak_of`) is a hit if it lies in the mask or within TOLERANCE pixels of
it. The accuracy is computed per finding, then averaged over findings.

Overlap: intersection over union of the mask and the part of the map's positive evidence above Otsu's threshold. This is
the measure of Benchmarking saliency methods for chest X-ray interpretation (Saporta et al., Nature Machine
Intelligence 2022, https://doi.org/10.1038/s42256-022-00536-x). Otsu's threshold is computed from the map alone, so
nothing is tuned on test images or on others.

A constant map has no maximum: it is a miss, with overlap 0. For a map of NaN (no map), hit and overlap are NaN.
"""

import cv2
import numpy as np

from trcgl.artifacts.pixels import Pixels
from trcgl.artifacts.places import FRAME
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.peak import peak_of
from trcgl.classifier.network.receptive_field import receptive_shift
from trcgl.classifier.network.spread_map import NOWHERE, spread_over
from trcgl.evaluation.grad_cam import class_maps_and_grad_cams
from trcgl.evaluation.places import Places

TOLERANCE = 15.0
"""In pixels of the frame: the published 15, with a frame of 256 pixels a side."""
SHIFT_IMAGES = 64
"""Number of images on which `receptive_shift` is measured."""


def peak(evidence: np.ndarray, shift: tuple[float, float] = NOWHERE) -> tuple[float, float] | None:
    """Row and column, in pixels of the frame, of the maximum of a map [h, w] (`peak_of`); None if it has none.

    Args:
        shift: as in `spread_over`; the point stays in the frame.
    """
    if (found := peak_of(evidence)) is None:
        return None
    row, column = ((share + moved) * FRAME - 0.5 for share, moved in zip(found, shift, strict=True))
    return min(max(row, 0.0), FRAME - 1.0), min(max(column, 0.0), FRAME - 1.0)


def is_hit(point: tuple[float, float] | None, mask: np.ndarray) -> bool:
    """Whether a point lies within TOLERANCE of the centre of a pixel of the mask [FRAME, FRAME]; False for None."""
    if point is None:
        return False
    rows, columns = np.nonzero(mask)
    return bool(np.min((rows - point[0]) ** 2 + (columns - point[1]) ** 2) <= TOLERANCE**2)


def otsu_segment(evidence: np.ndarray) -> np.ndarray:
    """The part of a map above Otsu's threshold (which best splits its values, in 256 levels, into two classes).

    A Threshold Selection Method from Gray-Level Histograms, https://doi.org/10.1109/TSMC.1979.4310076.

    Args:
        evidence: [H, W]; negative values are evidence against the finding and count as 0.

    Returns:
        bool [H, W]; all False for a constant map.
    """
    evidence = np.maximum(evidence, 0)
    low, high = float(evidence.min()), float(evidence.max())
    if not high > low:
        return np.zeros(evidence.shape, dtype=bool)
    levels = np.rint((evidence - low) * (255.0 / (high - low))).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return levels > threshold


def overlap(segment: np.ndarray, mask: np.ndarray) -> float:
    """Intersection over union of two masks, at least one of which is not empty."""
    return float((segment & mask).sum() / (segment | mask).sum())


def judge(
    maps: np.ndarray, which: np.ndarray, places: Places, shift: tuple[float, float] = NOWHERE
) -> tuple[np.ndarray, np.ndarray]:
    """Hits of maps on the masks of `places`, and their overlaps.

    Args:
        maps: [M, h, w].
        which: [P] index of the map for each mask.
        shift: as in `spread_over`.

    Returns:
        Hits [P] of 1 or 0 and overlaps [P] in 0..1, both float64; NaN where the map is NaN.
    """
    hits, overlaps = np.full(len(places.rows), np.nan), np.full(len(places.rows), np.nan)
    for i, (index, mask) in enumerate(zip(which, places.masks, strict=True)):
        if np.isnan(maps[index]).all():
            continue
        hits[i] = is_hit(peak(maps[index], shift), mask)
        overlaps[i] = overlap(otsu_segment(spread_over(maps[index], FRAME, shift)), mask)
    return hits, overlaps


def judge_model(model: Classifier, images: Pixels, places: Places) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """`judge` of a model's own class maps (`class_map`) and of its `grad_cam`.

    Args:
        images: uint8 [N, S, S] or anything that gives such rows; `places.rows` are its rows.
        places: at least one.
    """
    class_maps, cams = class_maps_and_grad_cams(model, images, places.rows, places.columns)
    own = np.arange(len(places.rows))
    shift = receptive_shift(model, images[np.unique(places.rows)[:SHIFT_IMAGES]])
    return {"class_map": judge(class_maps, own, places, shift), "grad_cam": judge(cams, own, places, shift)}
