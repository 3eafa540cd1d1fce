"""Images with rare findings come several times an epoch: by repeat factors, or by drawing the finding first.

Repeat factors: see numerics/repeat_factors.py. An epoch is as long as the factors' sum.

Class-aware: Relay Backpropagation, https://arxiv.org/abs/1512.05830, section 4.2; class-balanced sampling in
https://arxiv.org/abs/1910.09217. An epoch is as long as there are images, or as its caller says.
"""

import numpy as np

from trcgl.config import TrainingParams
from trcgl.numerics.repeat_factors import repeat_factors
from trcgl.numerics.seeding import rng


def sampling_factors(params: TrainingParams, targets: np.ndarray) -> np.ndarray:
    """How often each image comes in an epoch: repeat factors, or 1 on average where the finding is drawn first.

    Args:
        targets: [N, C] of 1, 0 and NaN for real training images only.
    """
    if params.sampler == "class_aware":
        return np.ones(len(targets))
    return repeat_factors(targets == 1, params.repeat_threshold, params.repeat_max)


def epoch_order(rows: np.ndarray, factors: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """The rows of one epoch in random order, each repeated floor(factor) times or once more.

    The fraction is the chance of the extra time: over epochs an image comes `factor` times. The chances are drawn
    together (systematic sampling, one random offset along the summed factors of the shuffled rows), so that every
    epoch is as long as the next but for one row.

    Args:
        rows: int [N].
        factors: float [N], at least 1.

    Returns:
        int [M], M the sum of the factors rounded down or up, depending on nothing but the arguments.
    """
    generator = rng("epoch order", seed, epoch)
    shuffled = generator.permutation(len(rows))
    ends = np.floor(np.cumsum(factors[shuffled]) + generator.random())
    repeats = np.diff(ends, prepend=0.0).astype(np.int64)
    return generator.permutation(np.repeat(rows[shuffled], repeats))


def class_aware_order(rows: np.ndarray, targets: np.ndarray, count: int, seed: int, epoch: int) -> np.ndarray:
    """The rows of one epoch: each a class drawn uniformly, then an image that has it.

    Images without any finding are one more class. Within a class all images come once before one comes again.

    Args:
        rows: int [N].
        targets: [N, C] of 1, 0 and NaN, theirs; a class without positives is never drawn.
        count: how many to draw.

    Returns:
        int [count], depending on nothing but the arguments.
    """
    generator = rng("class-aware order", seed, epoch)
    positive = targets == 1
    classes = [np.flatnonzero(column) for column in (*positive.T, ~positive.any(axis=1)) if column.any()]
    drawn = generator.integers(len(classes), size=count)
    order = np.empty(count, dtype=np.int64)
    for number, members in enumerate(classes):
        places = np.flatnonzero(drawn == number)
        order[places] = np.resize(generator.permutation(members), len(places))
    return rows[order]


def steps_of_epoch(factors: np.ndarray, batch_size: int) -> int:
    """Whole batches in every epoch of images repeated by `factors`; at least one."""
    return max(int(factors.sum()) // batch_size, 1)
