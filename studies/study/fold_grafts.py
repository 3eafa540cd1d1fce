"""Grafts in a fold of a study in folds, made of the images that the fold trains on."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from study.cam_maps import cam_map, cam_shift
from study.graft_pools import RegionOf, planned_grafts
from study.pools import PoolImage
from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.labelled_images import LabelledImages, labelled_images
from trcgl.artifacts.pixels import Pixels, StoredPixels
from trcgl.artifacts.places import decode_mask
from trcgl.artifacts.shards import ShardedImages
from trcgl.audit.finding_tests import finding_tests
from trcgl.audit.judge import judge_scores
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.training.run import TrainingFiles
from trcgl.config import AuditParams, SamplingParams
from trcgl.diffusion.generator.rows import TrainingRows, class_names, training_rows
from trcgl.diffusion.sampling.graft import MARGIN, region_of, widened
from trcgl.runtime.files import read_parquet


@dataclass(frozen=True)
class FoldImages:
    """The images of a fold.

    Attributes:
        images: the pictures.
        names: all findings.
        rows: the training images.
        validation: the validation images.
    """

    images: ShardedImages
    names: list[str]
    rows: TrainingRows
    validation: LabelledImages


@dataclass(frozen=True)
class MadeGrafts:
    """Grafts and their pictures, uint8 [N, S, S]."""

    entries: list[PoolImage]
    pictures: np.ndarray


def fold_images(files: TrainingFiles) -> FoldImages:
    """The images of a fold, from its files."""
    images, labels, classes = ShardedImages(files.images), read_parquet(files.labels), read_classes(files.classes)
    available, names = images.index["image"].tolist(), class_names(classes)
    rows = training_rows(labels, classes, available)
    return FoldImages(images, names, rows, labelled_images(labels, names, available, ["val"]))


def without_tail(rows: TrainingRows) -> np.ndarray:
    """Positions of the rows without a tail finding, whatever else they show."""
    having = np.concatenate([np.empty(0, np.int64), *rows.carriers.values()])
    return np.setdiff1d(np.arange(len(rows)), having)


def cam_regions(judge: Classifier, images: ShardedImages, threshold: float) -> RegionOf:
    """Regions from the class activation maps of a judge with the head `linear`; see `region_of`."""
    shift = cam_shift(judge, images)
    return lambda image, finding: region_of(cam_map(judge, images.read([image])[0], finding, shift), threshold)


def box_regions(places: pd.DataFrame, side: int) -> RegionOf:
    """The boxes of a finding in an image, dilated as a region from a map is; an image without a box gives no region.

    Args:
        places: image, finding, mask.
        side: of the images, in pixels; masks are at least as large.
    """
    masks = {key: part["mask"].tolist() for key, part in places.groupby(["image", "finding"])}

    def region(image: str, finding: str) -> np.ndarray | None:
        found = [decode_mask(mask) for mask in masks.get((image, finding), [])]
        assert all(len(mask) >= side for mask in found)
        return widened(np.any(found, axis=0), MARGIN) if found else None

    return region


def grafts_of_fold(
    fold: FoldImages, sampling: SamplingParams, regions: RegionOf, carriers: np.ndarray | None = None
) -> MadeGrafts:
    """`sampling.images_per_finding` grafts for each tail finding that a training image gives a region of.

    Args:
        carriers: see `planned_grafts`.
    """
    giving = [
        target for target, films in fold.rows.carriers.items()
        if any(regions(fold.rows.images[film], target) is not None for film in films.tolist())
    ]  # fmt: skip
    wanted = dict.fromkeys(giving, sampling.images_per_finding or 0)
    grafts = planned_grafts(fold.rows, fold.images, sampling, wanted, regions, fold.names, carriers)
    side = fold.images.size
    return MadeGrafts(grafts.entries, np.array(list(grafts.pictures), np.uint8).reshape(-1, side, side))


def seen_grafts(grafts: MadeGrafts, judge: Classifier, fold: FoldImages, params: AuditParams) -> MadeGrafts:
    """The grafts in which a judge sees their finding, by the audit's test (`finding_tests`).

    The audit's other tests are left out: a graft is no copy, and a region is laid into another image each time.
    """
    validation: Pixels = StoredPixels(fold.images, fold.validation.names)
    real = pd.DataFrame(fold.validation.targets, columns=pd.Index(fold.names))
    tests = finding_tests(judge_scores(judge, validation), real, params)
    targets = [entry.target for entry in grafts.entries]
    scores = judge_scores(judge, grafts.pictures)[np.arange(len(targets)), [fold.names.index(name) for name in targets]]
    seen = scores > tests["threshold"].loc[targets].to_numpy()
    kept = [entry for entry, shown in zip(grafts.entries, seen, strict=True) if shown]
    return MadeGrafts(kept, grafts.pictures[seen])


def count_grafts(planned: MadeGrafts, kept: MadeGrafts) -> pd.DataFrame:
    """Table: finding, planned, kept."""
    targets = [pd.Series([entry.target for entry in part.entries], dtype="str") for part in (planned, kept)]
    counts = [part.value_counts() for part in targets]
    table = pd.concat(counts, axis=1, keys=["planned", "kept"]).fillna(0).astype(int).sort_index()
    return table.rename_axis("finding").reset_index()
