"""How many images are generated per finding. This is apart from the generator, so that counting does not load it."""

import math

import pandas as pd

from trcgl.config import SamplingParams
from trcgl.diffusion.generator.rows import TrainingRows


def images_of(real: int, params: SamplingParams) -> int:
    """Number of images to generate for a finding that has `real` training images."""
    if params.images_per_finding is not None:
        return params.images_per_finding
    assert params.images_per_real_image is not None, "the params file is checked when it is read"
    # 0.1 * 30 is a little more than 3 in binary, and would be rounded up to 4
    return math.ceil(round(params.images_per_real_image * real, 9))


def first_samples(targets: pd.Series, rows: TrainingRows, params: SamplingParams) -> pd.Series:
    """Mark those samples of a longer plan that also belong to the (shorter) plan that `params` would make.

    Args:
        targets: the finding that each sample was generated for, in the plan's order.
        rows: the real images that the plan was made from.

    Returns:
        bool, in the order of `targets`.
    """
    wanted = {target: images_of(len(carriers), params) for target, carriers in rows.carriers.items()}
    # The explicit type is for a plan without samples, which would otherwise keep the type of `targets`
    return targets.groupby(targets).cumcount() < targets.map(wanted).astype("float64")
