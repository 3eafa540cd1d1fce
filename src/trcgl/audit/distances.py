"""Of every synthetic image: its nearest real images, how far it lies from the training images, and its nearest twin."""

import numpy as np
import pandas as pd

from trcgl.audit.copies import nearest_copies
from trcgl.audit.measured import Measured
from trcgl.audit.neighbours import nearest_features, none_barred, not_earlier


def sample_distances(
    samples: pd.DataFrame, drawn: Measured, rows: pd.DataFrame, real: Measured, neighbours: int
) -> pd.DataFrame:
    """Distances in pixels (see `nearest_copies`) and in the judge's features (see `nearest_features`).

    Args:
        samples: sample, in the order of `drawn`.
        rows: image, split, in the order of `real`; training, validation and test images.
        neighbours: the number of the nearest training image whose distance says how far a sample lies from them.

    Returns:
        One row per sample: pixel_distance, pixel_nearest (image), pixel_split, feature_distance, feature_nearest,
        feature_split, neighbour_distance, and among earlier samples twin_pixel_distance, twin_pixel,
        twin_feature_distance, twin_feature. A distance is inf, and a name "", where there is nothing to compare with.
    """
    anything, earlier = none_barred(len(real)), not_earlier(len(drawn))
    pixels = nearest_copies(drawn.thumbnails, real.thumbnails, anything)
    features = nearest_features(drawn.features, real.features, 1, anything)
    training = real.features[(rows["split"] == "train").to_numpy()]
    far, _ = nearest_features(drawn.features, training, neighbours, none_barred(len(training)))
    twin_pixels = nearest_copies(drawn.thumbnails, drawn.thumbnails, earlier)
    twin_features = nearest_features(drawn.features, drawn.features, 1, earlier)
    return pd.DataFrame(
        {
            "pixel_distance": pixels[0],
            "pixel_nearest": _named(rows["image"], pixels[1]),
            "pixel_split": _named(rows["split"], pixels[1]),
            "feature_distance": features[0][:, 0],
            "feature_nearest": _named(rows["image"], features[1][:, 0]),
            "feature_split": _named(rows["split"], features[1][:, 0]),
            "neighbour_distance": far[:, -1],
            "twin_pixel_distance": twin_pixels[0],
            "twin_pixel": _named(samples["sample"], twin_pixels[1]),
            "twin_feature_distance": twin_features[0][:, 0],
            "twin_feature": _named(samples["sample"], twin_features[1][:, 0]),
        }
    )


def _named(names: "pd.Series[str]", index: np.ndarray) -> "pd.Series[str]":
    values = names.to_numpy(dtype=object)
    return pd.Series([values[i] if i >= 0 else "" for i in index], dtype="str")
