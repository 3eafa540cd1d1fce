"""Where the model of a fold looks, judged box by box, next to two baselines that need no model."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from study.folds import MAPS
from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.labelled_images import LabelledImages, labelled_images
from trcgl.artifacts.pixels import Pixels
from trcgl.artifacts.places import FRAME, read_place_table
from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.predict import predict_with_maps
from trcgl.classifier.network.receptive_field import receptive_shift
from trcgl.classifier.training.run import TrainingFiles
from trcgl.evaluation.places import Places, find_places, mean_masks
from trcgl.evaluation.pointing import SHIFT_IMAGES, is_hit, judge, judge_model
from trcgl.runtime.files import read_parquet


@dataclass(frozen=True)
class FilmsWithBoxes:
    """The test images of a fold, and the boxes of the images of all folds.

    Attributes:
        names: the findings.
        real: the test images.
        pixels: of the test images, in their order.
        known: image, finding, mask (PNG), for the images of all folds.
        places: masks of the boxes in the test images.
        resize: as `images.resize`.
    """

    names: list[str]
    real: LabelledImages
    pixels: Pixels
    known: pd.DataFrame
    places: Places
    resize: str


def films_with_boxes(files: TrainingFiles, lesions: Path, resize: str) -> FilmsWithBoxes:
    """Read the test images and all boxes.

    Args:
        lesions: table with image, finding, mask (PNG), for the images of all folds.
    """
    table, known = read_parquet(files.labels, ["image", "patient", "split"]), read_place_table(lesions)
    names = [entry["name"] for entry in read_classes(files.classes)["classes"]]
    stored = ShardedImages(files.images)
    real = labelled_images(table, names, stored.index["image"], ("test",), file=files.labels)
    places = find_places(known, real.names, real.targets, names, resize)
    return FilmsWithBoxes(names, real, stored.read(real.names), known, places, resize)


def save_place_maps(folder: Path, model: Classifier, films: FilmsWithBoxes) -> None:
    """Save the class map for each box, so that a sheet of them can be plotted later; without boxes, no file."""
    pixels, places = films.pixels, films.places
    if not len(places.rows):
        return
    which, rows = np.unique(places.rows, return_inverse=True)
    maps = predict_with_maps(model, pixels[which])[1][rows, places.columns]
    np.savez_compressed(
        folder / MAPS,
        image=np.array([films.real.names[row] for row in places.rows]),
        finding=np.array([films.names[column] for column in places.columns]),
        class_map=maps.astype(np.float16),
        shift=np.array(receptive_shift(model, pixels[which[:SHIFT_IMAGES]])),
    )


def judged_places(model: Classifier, films: FilmsWithBoxes) -> pd.DataFrame:
    """Every box of the test images, judged by every method.

    The table contains patient ids, which the intervals need: it belongs in cached data, never in metrics.

    Returns:
        image, patient, finding, method, hit, overlap; empty without boxes. Methods: class_map and grad_cam; and two
        without a model: centre (the middle of the image) and mean_box (the mean box in the images of all patients who
        are not in this fold's test split).
    """
    names, real, known, places, resize = films.names, films.real, films.known, films.places, films.resize
    if not len(places.rows):
        return pd.DataFrame({name: [] for name in ("image", "patient", "finding", "method", "hit", "overlap")})
    found = judge_model(model, films.pixels, places)
    middle = (FRAME - 1) / 2
    centre = np.array([is_hit((middle, middle), mask) for mask in places.masks], dtype=float)
    found["centre"] = centre, np.full(len(centre), np.nan)
    # Boxes in the images of all other patients, including images that this fold does not train on
    others = known[~known["image"].isin(set(real.names))]
    pairs = others.assign(present=1).pivot_table(index="image", columns="finding", values="present", aggfunc="max")
    labels = pairs.reindex(columns=names).to_numpy(dtype=float)
    usual = mean_masks(others, [str(image) for image in pairs.index], labels, names, resize)
    found["mean_box"] = judge(usual, places.columns, places)
    patients = real.rows["patient"].to_numpy()
    parts = [
        pd.DataFrame(
            {
                "image": np.array(real.names, dtype=object)[places.rows],
                "patient": patients[places.rows],
                "finding": np.array(names, dtype=object)[places.columns],
                "method": method,
                "hit": hits,
                "overlap": overlaps,
            }
        )
        for method, (hits, overlaps) in found.items()
    ]
    return pd.concat(parts, ignore_index=True)
