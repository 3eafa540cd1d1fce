"""How near a set of synthetic images is to a set of real ones, in the features of a frozen network.

The usual features come from a network trained on photographs; they do not capture what matters in X-rays. Other
features are used here, so the numbers are comparable only within this project, and only with the same features.
"""

import numpy as np
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import polynomial_kernel

NEIGHBOUR = 3
"""Kynkäänniemi et al. use the third nearest neighbour."""


def kernel_distance(real: np.ndarray, synthetic: np.ndarray) -> float:
    """KID: the unbiased squared maximum mean discrepancy under the kernel (x.y / F + 1) ** 3.

    Binkowski et al., arXiv 1801.01401, section 4. It is unbiased for any number of images, so it may be below 0. With
    few images it is noisy.

    Args:
        real: [N, F].
        synthetic: [M, F].

    Returns:
        NaN with less than two images on a side.
    """
    n, m = len(real), len(synthetic)
    if min(n, m) < 2:
        return float("nan")
    real, synthetic = real.astype(np.float64), synthetic.astype(np.float64)
    within_real, within_synthetic = polynomial_kernel(real), polynomial_kernel(synthetic)
    np.fill_diagonal(within_real, 0)
    np.fill_diagonal(within_synthetic, 0)
    within = within_real.sum() / (n * (n - 1)) + within_synthetic.sum() / (m * (m - 1))
    return float(within - 2 * polynomial_kernel(real, synthetic).mean())


def precision_recall(real: np.ndarray, synthetic: np.ndarray) -> tuple[float, float]:
    """Precision: fraction of synthetic images among the real ones. Recall: of real images among the synthetic ones.

    Kynkäänniemi et al., arXiv 1904.06991, eq. 1 and 2. An image is "among" a set if its distance to at least one image
    of the set is not larger than the distance from that image to its own third nearest neighbour. In a small set these
    neighbourhoods are wide, so both values are then too high.

    Args:
        real: [N, F].
        synthetic: [M, F].

    Returns:
        (precision, recall); both NaN if an image of one side has no third neighbour.
    """
    if min(len(real), len(synthetic)) <= NEIGHBOUR:
        return float("nan"), float("nan")
    real, synthetic = real.astype(np.float64), synthetic.astype(np.float64)
    between = pairwise_distances(real, synthetic)
    precision = (between <= _reach(real)[:, None]).any(axis=0).mean()
    recall = (between <= _reach(synthetic)[None, :]).any(axis=1).mean()
    return float(precision), float(recall)


def _reach(features: np.ndarray) -> np.ndarray:
    """Distance of each image to its third neighbour; position 0 is the image itself."""
    return np.sort(pairwise_distances(features), axis=1)[:, NEIGHBOUR]
