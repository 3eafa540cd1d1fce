"""How many images are drawn of a finding; apart from the generator, because who only counts need not load it."""

import math

import pandas as pd

from trcgl.config import SamplingParams
from trcgl.diffusion.generator.rows import TrainingRows


def images_of(real: int, params: SamplingParams) -> int:
    """Images to draw of a finding with `real` training images."""
    if params.images_per_finding is not None:
        return params.images_per_finding
    assert params.images_per_real_image is not None, "the params file is checked when it is read"
    # 0.1 * 30 is a little more than 3 in binary, and would be rounded up to 4
    return math.ceil(round(params.images_per_real_image * real, 9))


def first_samples(targets: pd.Series, rows: TrainingRows, params: SamplingParams) -> pd.Series:
    """Which samples of a longer plan are those of the plan that `params` would make.

    Args:
        targets: the finding each was drawn for, in the plan's order.
        rows: the real images that were planned from.

    Returns:
        bool, in the order of `targets`.
    """
    wanted = {target: images_of(len(carriers), params) for target, carriers in rows.carriers.items()}
    # Without a sample the texts would stay texts
    return targets.groupby(targets).cumcount() < targets.map(wanted).astype("float64")
