"""The predictions that an arm's run saves for the comparison."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.labelled_images import labelled_images
from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.predict import predict
from trcgl.classifier.training.run import TrainingFiles
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_parquet

SPLITS = ("val", "test")


def held_out_predictions(model: Classifier, files: TrainingFiles, splits: Sequence[str] = SPLITS) -> pd.DataFrame:
    """Long table of the predictions for held-out splits.

    The table contains patient ids, which the intervals need: it belongs in cached data, never in metrics.

    Returns:
        split, image, patient, finding, label (missing: unknown), probability.

    Raises:
        InputError: a split has no cached image.
    """
    table = read_parquet(files.labels, ["image", "patient", "split"])
    names = [entry["name"] for entry in read_classes(files.classes)["classes"]]
    stored, parts = ShardedImages(files.images), []
    for split in splits:
        real = labelled_images(table, names, stored.index["image"], (split,), file=files.labels)
        if not len(real):
            raise InputError(f"no image of the '{split}' split is in {files.images}; there is nothing to compare")
        parts.append(
            pd.DataFrame(
                {
                    "split": split,
                    "image": np.repeat(real.names, len(names)),
                    "patient": np.repeat(real.rows["patient"].to_numpy(), len(names)),
                    "finding": np.tile(names, len(real)),
                    "label": pd.Series(real.targets.ravel()).astype("Int8"),
                    "probability": predict(model, stored.read(real.names)).ravel(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
