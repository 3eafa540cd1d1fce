"""How similar the samples of a finding are to real validation images with it, in a feature space that never changes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from trcgl.audit.diversity import mean_similarity
from trcgl.audit.drawn_images import DrawnImages
from trcgl.audit.fidelity import kernel_distance, precision_recall
from trcgl.audit.overlaid import Space
from trcgl.audit.real_images import RealImages


def likeness_columns(
    findings: Sequence[str], drawn: DrawnImages, accepted: np.ndarray, train: RealImages, val: RealImages, space: Space
) -> pd.DataFrame:
    """One row per finding, in the order of `findings`.

    Args:
        accepted: bool [N], of the samples.
        space: the frozen feature space.

    Returns:
        real_images: number of validation images with the finding; these are the reference. kid, kid_accepted and
        kid_real: KID of all samples, of accepted samples and of real training images, each against the reference (NaN
        with fewer than two images on a side). precision and recall: of all samples. ms_ssim and ms_ssim_real: of all
        samples and of the reference.
    """
    features, rows = space(drawn.pixels), []
    for finding in findings:
        own = (drawn.samples["target"] == finding).to_numpy()
        shown = val.with_finding(finding)
        pixels = val.pixels[shown]
        real, fitted = space(pixels), space(train.pixels[train.with_finding(finding)])
        precision, recall = precision_recall(real, features[own])
        rows.append(
            {
                "real_images": len(real),
                "kid": kernel_distance(real, features[own]),
                "kid_accepted": kernel_distance(real, features[own & accepted]),
                "kid_real": kernel_distance(real, fitted),
                "precision": precision,
                "recall": recall,
                "ms_ssim": mean_similarity(drawn.pixels[np.flatnonzero(own)], np.arange(own.sum())),
                "ms_ssim_real": mean_similarity(pixels, val.patients[shown]),
            }
        )
    return pd.DataFrame(rows)
