"""Grafts in a fold of a study in folds: made of its training images by the maps of its judge, and judged by it."""

from pathlib import Path

import numpy as np
import pandas as pd

from study.cam_maps import cam_map, cam_shift
from study.graft_pools import planned_grafts
from study.pools import PoolImage
from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.labelled_images import labelled_images
from trcgl.artifacts.pixels import StoredPixels
from trcgl.artifacts.shards import ShardedImages
from trcgl.audit.finding_tests import finding_tests
from trcgl.audit.judge import judge_scores
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.training.run import TrainingFiles
from trcgl.config import Params
from trcgl.diffusion.generator.rows import ABOUT, class_names, training_rows
from trcgl.diffusion.sampling.graft import region_of
from trcgl.labels.adapters import read_table
from trcgl.runtime.files import read_parquet


def seen_grafts(
    judge: Classifier, files: TrainingFiles, params: Params
) -> tuple[list[PoolImage], np.ndarray, pd.DataFrame]:
    """Plan `sampling.images_per_finding` grafts for each tail finding and keep those in which the judge sees it.

    The judge's test of a finding is the audit's (`finding_tests`). The audit's other tests are left out: a graft is no
    copy, and every graft has a carrier of its own.

    Args:
        judge: with the head `linear`, trained on the fold's training images.
        files: of the fold. The label table of `params.dataset` adds view, sex and age.

    Returns:
        The grafts that stay, for a pool; their pictures, uint8 [N, S, S]; and a table: finding, planned, seen.
    """
    images, classes = ShardedImages(files.images), read_classes(files.classes)
    about = read_table(params.dataset.name, Path(params.dataset.labels)).rows
    labels = read_parquet(files.labels).merge(about[list({"image"} | set(ABOUT) - {"patient", "split"})], on="image")
    rows = training_rows(labels, classes, images.index["image"].tolist())
    shift, threshold = cam_shift(judge, images), params.sampling.region_threshold

    def region(image: str, finding: str) -> np.ndarray:
        return region_of(cam_map(judge, images.read([image])[0], finding, shift), threshold)

    names, wanted = class_names(classes), dict.fromkeys(rows.carriers, params.sampling.images_per_finding or 0)
    grafts = planned_grafts(rows, images, params.sampling, wanted, region, names)
    pictures = np.stack(list(grafts.pictures))
    real = labelled_images(labels, names, images.index["image"], ["val"])
    validation = judge_scores(judge, StoredPixels(images, real.names))
    tests = finding_tests(validation, pd.DataFrame(real.targets, columns=names), params.audit)
    targets = pd.Series([entry.target for entry in grafts.entries])
    scores = judge_scores(judge, pictures)[np.arange(len(targets)), [names.index(target) for target in targets]]
    seen = scores > tests["threshold"].loc[targets].to_numpy()
    counts = pd.DataFrame({"planned": targets.value_counts(), "seen": targets[seen].value_counts()})
    kept = [entry for entry, shown in zip(grafts.entries, seen, strict=True) if shown]
    return kept, pictures[seen], counts.fillna(0).astype(int).rename_axis("finding").reset_index()
