"""For every synthetic image: the training image that it may be a copy of, and its distance to the training images.

A sample is not compared with images of its carrier's patient that do not have the target finding. Most of the carrier
is meant to stay in the sample, and the sample's purpose is the finding that the carrier does not show.
"""

import numpy as np
import pandas as pd

from trcgl.audit.drawn_images import DrawnImages
from trcgl.audit.duplicates import closest
from trcgl.audit.limits import NEIGHBOURS, Limits
from trcgl.audit.neighbours import Barred, nearest_distances, none_barred
from trcgl.audit.overlaid import Space
from trcgl.audit.real_images import RealImages


def _drawn_into(drawn: DrawnImages, train: RealImages) -> Barred:
    """Exclude, for each sample, the images of its carrier's patient that do not have the sample's target."""
    patient = dict(zip(train.names, train.patients, strict=True))
    shown = np.array([patient.get(carrier) for carrier in drawn.samples["carrier"]], dtype=object)
    has = {target: (train.labels[target] == 1).to_numpy() for target in drawn.samples["target"].unique()}
    targets = drawn.samples["target"].to_numpy()
    return lambda rows: np.stack([(train.patients == shown[row]) & ~has[targets[row]] for row in rows])


def sample_distances(drawn: DrawnImages, train: RealImages, limits: Limits, space: Space) -> pd.DataFrame:
    """Distances to the training images, which are all that the generator has seen.

    Args:
        train: the training images.
        space: the frozen feature space.

    Returns:
        One row per sample: copy (bool), pixel_nearest (name of the closest image; "" if there is none to compare with),
        pixel_distance, feature_distance (see `Closest`), and neighbour_distance: the distance in the judge's features
        to the NEIGHBOURS-th nearest training image; inf if there are fewer.
    """
    found = list(
        closest(
            drawn.pixels, drawn.measured.thumbnails, train.pixels, train.measured.thumbnails,
            _drawn_into(drawn, train), limits, space,
        )
    )  # fmt: skip
    far = nearest_distances(drawn.measured.features, train.measured.features, NEIGHBOURS, none_barred(len(train)))
    return pd.DataFrame(
        {
            "copy": np.array([one.duplicate for one in found], dtype=bool),
            "pixel_nearest": pd.Series(
                [train.names[one.reference] if one.reference >= 0 else "" for one in found], dtype="str"
            ),
            "pixel_distance": np.array([one.pixels for one in found], dtype=np.float64),
            "feature_distance": np.array([one.features for one in found], dtype=np.float64),
            "neighbour_distance": far[:, -1],
        }
    )
