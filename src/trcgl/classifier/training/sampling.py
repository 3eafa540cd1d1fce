"""Samplers that repeat images with rare findings within an epoch: by repeat factors, or class-aware.

Repeat factors: see numerics/repeat_factors.py. An epoch has as many rows as the sum of the factors.

Class-aware sampling chooses the class first, then an image: Relay Backpropagation, https://arxiv.org/abs/1512.05830,
section 4.2; class-balanced sampling in https://arxiv.org/abs/1910.09217. An epoch has as many rows as there are images,
or as many as its caller asks for.
"""

import numpy as np

from trcgl.config import TrainingParams
from trcgl.numerics.repeat_factors import repeat_factors
from trcgl.numerics.seeding import rng


def sampling_factors(params: TrainingParams, targets: np.ndarray) -> np.ndarray:
    """How often an epoch shows each image, on average: repeat factors, or 1 for class-aware sampling.

    Args:
        targets: [N, C] of 1, 0 and NaN for real training images only.
    """
    if params.sampler == "class_aware":
        return np.ones(len(targets))
    return repeat_factors(targets == 1, params.repeat_threshold, params.repeat_max)


def epoch_order(rows: np.ndarray, factors: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """The rows of one epoch in random order, each repeated floor(factor) or floor(factor) + 1 times.

    The fractional part of the factor is the probability of the additional repetition, so an image comes `factor` times
    per epoch on average. All rows are sampled together (systematic sampling: one random offset along the cumulative sum
    of the shuffled rows' factors), so the lengths of two epochs differ by at most one row.

    Args:
        rows: int [N].
        factors: float [N], at least 1.

    Returns:
        int [M], where M is the sum of the factors rounded down or up. The result depends only on the arguments.
    """
    generator = rng("epoch order", seed, epoch)
    shuffled = generator.permutation(len(rows))
    ends = np.floor(np.cumsum(factors[shuffled]) + generator.random())
    repeats = np.diff(ends, prepend=0.0).astype(np.int64)
    return generator.permutation(np.repeat(rows[shuffled], repeats))


def class_aware_order(rows: np.ndarray, targets: np.ndarray, count: int, seed: int, epoch: int) -> np.ndarray:
    """The rows of one epoch: for each row a class is sampled uniformly, then an image of this class.

    Images without any finding are one more class; an image whose labels are all unknown is in none. Within a class, all
    images come once before one comes again.

    Args:
        rows: int [N].
        targets: [N, C] of 1, 0 and NaN, for these rows; a class without positives is never sampled.
        count: number of rows to sample.

    Returns:
        int [count]. The result depends only on the arguments.
    """
    generator = rng("class-aware order", seed, epoch)
    positive = targets == 1
    without = ~positive.any(axis=1) & ~np.isnan(targets).all(axis=1)
    classes = [np.flatnonzero(column) for column in (*positive.T, without) if column.any()]
    drawn = generator.integers(len(classes), size=count)
    order = np.empty(count, dtype=np.int64)
    for number, members in enumerate(classes):
        places = np.flatnonzero(drawn == number)
        order[places] = np.resize(generator.permutation(members), len(places))
    return rows[order]


def steps_of_epoch(factors: np.ndarray, batch_size: int) -> int:
    """Number of full batches in an epoch of images repeated by `factors`; at least one."""
    return max(int(factors.sum()) // batch_size, 1)
