"""Of every synthetic image: which training image it may be a copy of, and how far it lies from all of them."""

import numpy as np
import pandas as pd

from trcgl.audit.drawn_images import DrawnImages
from trcgl.audit.duplicates import closest
from trcgl.audit.limits import NEIGHBOURS, Limits
from trcgl.audit.neighbours import nearest_features, none_barred
from trcgl.audit.overlaid import Space
from trcgl.audit.real_images import RealImages


def sample_distances(drawn: DrawnImages, train: RealImages, limits: Limits, space: Space) -> pd.DataFrame:
    """Distances to the training images, which are all that the generator has seen.

    Args:
        train: the training images.
        space: the frozen feature space.

    Returns:
        One row per sample: copy (bool), pixel_nearest (the image it is closest to), pixel_distance, feature_distance
        (see `Closest`), and neighbour_distance, in the judge's features to training image number NEIGHBOURS; inf where
        there are fewer.
    """
    found = list(
        closest(
            drawn.pixels, drawn.measured.thumbnails, train.pixels, train.measured.thumbnails,
            none_barred(len(train)), limits, space,
        )
    )  # fmt: skip
    far, _ = nearest_features(drawn.measured.features, train.measured.features, NEIGHBOURS, none_barred(len(train)))
    return pd.DataFrame(
        {
            "copy": np.array([one.duplicate for one in found], dtype=bool),
            "pixel_nearest": pd.Series([train.names[one.reference] for one in found], dtype="str"),
            "pixel_distance": np.array([one.pixels for one in found], dtype=np.float64),
            "feature_distance": np.array([one.features for one in found], dtype=np.float64),
            "neighbour_distance": far[:, -1],
        }
    )
