"""How similar the images of a set are to each other: the mean MS-SSIM of their pairs; 1 means that all are equal."""

import numpy as np
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from trcgl.numerics.seeding import rng

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the scales, finest first: Wang, Simoncelli and Bovik, Multiscale structural similarity (2003), 3.2."""
KERNEL = 11
"""Side in pixels of the Gaussian window; at each scale, the image must be at least as wide."""
PAIRS = 300
"""Largest number of pairs in the mean."""
BATCH = 32


def scales_at(size: int) -> int:
    """Number of scales that are possible for an image of `size` px: 5 from 176 px on, 3 at 64 px.

    Each scale halves the image. torchmetrics also asks for as much as (scales - 1)² times the window, which is more for
    four scales.
    """
    return max(1, sum(size // max(2**level, level**2) > KERNEL - 1 for level in range(len(WEIGHTS))))


def mean_similarity(images: np.ndarray, groups: np.ndarray) -> float:
    """Mean MS-SSIM of pairs of images from different groups, on as many scales as fit, their weights summing to 1.

    Args:
        images: uint8 [N, S, S].
        groups: [N], such as patients.

    Returns:
        0..1; NaN without a pair.
    """
    first, second = np.triu_indices(len(images), k=1)
    apart = groups[first] != groups[second]
    first, second = first[apart], second[apart]
    if not len(first):
        return float("nan")
    part = np.sort(rng("audit pairs", len(first)).permutation(len(first))[:PAIRS])
    weights = np.array(WEIGHTS[: scales_at(images.shape[-1])])
    values = []
    for start in range(0, len(part), BATCH):
        pairs = part[start : start + BATCH]
        left, right = (torch.from_numpy(images[side[pairs]]).unsqueeze(1).float() for side in (first, second))
        values.append(
            multiscale_structural_similarity_index_measure(
                left, right, kernel_size=KERNEL, data_range=255.0, betas=tuple(weights / weights.sum()),
                normalize="relu", reduction="none",
            )
        )  # fmt: skip
    return float(torch.cat(values).double().mean())
