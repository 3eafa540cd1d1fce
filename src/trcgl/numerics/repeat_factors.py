"""Repeat factors: how often an epoch shows an image, so that images with rare findings are repeated.

LVIS, https://arxiv.org/abs/1908.03195, appendix B.2: r_c = max(1, sqrt(t / f_c)), where f_c is the share of training
images with class c. (TRCGL-Net's repository divides by the sum of all label counts and also counts synthetic rows. With
each of these, the meaning of the threshold depends on the data set.)
"""

import numpy as np


def repeat_factors(positive: np.ndarray, threshold: float, maximum: float) -> np.ndarray:
    """How often each image should come in an epoch, on average.

    Args:
        positive: bool [N, C], for real training images only.
        threshold: t; findings in a larger share of the images are not repeated. 0 turns repetition off.
        maximum: cap on the factor.

    Returns:
        float64 [N] in [1, maximum]: the largest r_c over an image's positives, 1 for an image without any.
    """
    share = positive.mean(axis=0)
    per_class = np.sqrt(np.divide(threshold, share, out=np.zeros(len(share)), where=share > 0)).clip(1.0, maximum)
    return np.where(positive, per_class, 1.0).max(axis=1, initial=1.0)
