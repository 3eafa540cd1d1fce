"""Find twins: among samples that are near duplicates of each other, only the first one is kept."""

import numpy as np
import pandas as pd

from trcgl.artifacts.pixels import PixelRows, Pixels
from trcgl.audit.duplicates import Closest, closest
from trcgl.audit.limits import Limits
from trcgl.audit.overlaid import Space


def find_twins(
    samples: pd.DataFrame, passed: np.ndarray, pixels: Pixels, thumbnails: np.ndarray, limits: Limits, space: Space
) -> pd.DataFrame:
    """Go through the samples that passed all other tests, in order, and compare each with those accepted before it.

    A rejected sample is not compared, so it has no twins.

    Args:
        samples: with the column sample.
        passed: bool [N].
        pixels: of the N samples.
        thumbnails: uint8 [N, THUMBNAIL, THUMBNAIL].

    Returns:
        One row per sample: twin (bool), twin_of (the closest accepted sample before it, or ""), twin_pixel_distance
        (inf if there is none) and twin_feature_distance (NaN if none is near in pixels).
    """
    places = np.flatnonzero(passed)
    accepted = np.zeros(len(places), dtype=bool)
    images = PixelRows(pixels, places)
    found = np.full(len(samples), Closest(), dtype=object)
    turn = closest(
        images, thumbnails[places], images, thumbnails[places], lambda rows: ~accepted[None].repeat(len(rows), axis=0),
        limits, space,
    )  # fmt: skip
    for number, one in enumerate(turn):
        accepted[number] = not one.duplicate
        found[places[number]] = one
    names = samples["sample"].to_numpy(dtype=object)
    return pd.DataFrame(
        {
            "twin": np.array([one.duplicate for one in found], dtype=bool),
            "twin_of": pd.Series(
                [names[places[one.reference]] if one.reference >= 0 else "" for one in found], dtype="str"
            ),
            "twin_pixel_distance": np.array([one.pixels for one in found], dtype=np.float64),
            "twin_feature_distance": np.array([one.features for one in found], dtype=np.float64),
        }
    )
