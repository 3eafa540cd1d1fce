"""Of every synthetic image: which training image it may be a copy of, and how far it lies from all of them.

A film without the finding, into which a sample was drawn, is not what it could be a copy of: most of that film is meant
to stay, and what the sample is for is what it does not show.
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
    """Bars a sample from the films without its target of the patient that its carrier shows."""
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
        One row per sample: copy (bool), pixel_nearest (the image it is closest to), pixel_distance, feature_distance
        (see `Closest`), and neighbour_distance, in the judge's features to training image number NEIGHBOURS; inf where
        there are fewer.
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
            "pixel_nearest": pd.Series([train.names[one.reference] for one in found], dtype="str"),
            "pixel_distance": np.array([one.pixels for one in found], dtype=np.float64),
            "feature_distance": np.array([one.features for one in found], dtype=np.float64),
            "neighbour_distance": far[:, -1],
        }
    )
