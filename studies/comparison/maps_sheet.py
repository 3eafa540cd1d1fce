"""Class maps of held-out images beside their boxes, so that a person can check what is behind a share of hits."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from comparison.folds import KEY, finished_seeds
from study.arms import Study
from study.folds import MAPS, PLACES
from trcgl.artifacts.places import read_place_table
from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.network.spread_map import NOWHERE, spread_over
from trcgl.evaluation.attention import attention_overlays
from trcgl.evaluation.places import each_place
from trcgl.runtime.files import read_arrays, read_parquet

IMAGES = "images"


def maps_sheet(study: Study, folds: int, count: int, resize: str) -> Figure:
    """A sheet of class maps for randomly chosen boxes, balanced over the findings; titles say whether a map hits.

    The choice never depends on how a map looks.

    Args:
        study: the part that has run; the maps are those of `sheet_arm`, with its first seed.
        count: largest number of boxes.
        resize: as `images.resize`.
    """
    arm, stored = sheet_arm(study), ShardedImages(study.data / IMAGES)
    seed = finished_seeds(study, arm, folds)[0]
    runs = [study.folder / f"runs/{arm}-{fold}-{seed}" for fold in range(folds)]
    places = pd.concat([read_parquet(run / PLACES) for run in runs])
    if places.empty:
        figure = plt.figure(figsize=(4, 1))
        figure.suptitle("no boxes, so no maps")
        return figure
    maps = {key: found for run in runs for key, found in read_place_maps(run, stored.size).items()}
    findings = sorted({finding for _, finding in maps})
    generator = np.random.default_rng(0)
    chosen: list[tuple[str, str]] = []
    for finding in findings:
        own = sorted(key for key in maps if key[1] == finding)
        lot = generator.permutation(len(own))[: max(1, count // len(findings))]
        chosen += [own[i] for i in sorted(lot.tolist())]
    hits = places[places["method"] == "class_map"].set_index(KEY)["hit"]
    names = sorted({image for image, _ in chosen})
    labels = np.ones((len(names), len(findings)))
    masks = {
        (names[row], findings[column]): mask
        for row, column, mask in each_place(read_place_table(study.data / PLACES), names, labels, findings, resize)
    }
    return attention_overlays(
        list(stored.read([image for image, _ in chosen])),
        [maps[key] for key in chosen],
        [f"{key[1]}: {'hit' if hits[key] else 'miss'}" for key in chosen],
        [masks[key] for key in chosen],
        shift=NOWHERE,  # `read_place_maps` has moved them
        columns=5,
    )


def sheet_arm(study: Study) -> str:
    """The last arm that learns from boxes; the last arm if none does."""
    return next((name for name in reversed(study.arms) if study.arms[name].boxes), [*study.arms][-1])


def read_place_maps(folder: Path, side: int) -> dict[tuple[str, str], np.ndarray]:
    """The class maps in a run's folder, by image and finding.

    Returns:
        float32 [side, side] each: the evidence for the finding, with each cell moved to the region that it looks at.
    """
    if not (folder / MAPS).exists():
        return {}
    found = read_arrays(folder / MAPS, ["image", "finding", "class_map", "shift"])
    shift = (float(found["shift"][0]), float(found["shift"][1]))
    keys = zip(found["image"].tolist(), found["finding"].tolist(), strict=True)
    return {
        key: spread_over(np.maximum(evidence, 0), side, shift)
        for key, evidence in zip(keys, found["class_map"], strict=True)
    }
