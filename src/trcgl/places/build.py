"""Convert boxes to places: masks in the square that the network reads.

The label table decides which findings are present; a box only says where. If the table does not state a finding as
present, its boxes are left out. Otherwise a class map would learn to highlight a finding that the classification loss
treats as absent.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.artifacts.places import COLUMNS, encode_mask
from trcgl.config import Params
from trcgl.places.boxes import BoxFiles, UsedBoxes, Words, boxes_of
from trcgl.places.masks import agreed_mask, in_frame
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger, progress

log = get_logger("boxes")

WORDS = Words(
    image="a readable image of the data set",
    finding="a finding of the data set's classes",
    sizes="'dataset.box_sizes'",
    class_table="'labels.class_table'",
)
ABSENT, OPEN = "the label table says that the finding is absent", "the label table leaves open whether it is there"
CROPPED = "smaller than a pixel, or outside of the square that the network reads"


def box_files(params: Params) -> BoxFiles | None:
    """The box files that the params name; None if they name no table of boxes."""
    given = (params.dataset.boxes, params.dataset.box_sizes, params.labels.class_table)
    boxes, sizes, class_table = (None if path is None else Path(path) for path in given)
    return None if boxes is None else BoxFiles(boxes, sizes, class_table, WORDS)


def build_places(
    files: BoxFiles, selected: pd.DataFrame, images: Path, labels: pd.DataFrame, findings: Sequence[str], resize: str
) -> pd.DataFrame:
    """The places of all images that have a box, in every split. The log counts the boxes that are left out.

    Args:
        selected: image, path (in the folder `images`) of the readable images.
        labels: image, split and one column per finding (1, 0 or missing) of these images, possibly also of others.
        findings: the findings that have a class.
        resize: `pad` or `crop`, the mode in which images are resized.

    Returns:
        image, finding, mask (PNG, FRAME pixels a side), one row per pair, sorted.

    Raises:
        InputError: see `boxes_of`; or no place is left.
    """
    used = boxes_of(files, selected, images, selected["image"].tolist(), findings)
    places, used = stated_places(used, labels, resize)
    log.info("%s: %s", files.boxes, used)
    if places.empty:
        raise InputError(f"{files.boxes}: no box is left: {used}; give the boxes that this label table goes with")
    split = dict(zip(labels["image"], labels["split"], strict=True))
    counts = pd.Series([split[image] for image in places["image"]]).value_counts()
    said = ", ".join(f"{counts.get(name, 0)} {name}" for name in ("train", "val", "test"))
    log.info("%d places in %d images (%s)", len(places), places["image"].nunique(), said)
    if "train" not in counts:
        log.warning(
            "%s: no box is of a training image, so class maps learn from labels alone; 'dataset.split_file' moves "
            "patients with boxes into training",
            files.boxes,
        )
    return places


def stated_places(used: UsedBoxes, labels: pd.DataFrame, resize: str) -> tuple[pd.DataFrame, UsedBoxes]:
    """The places of findings that the label table states as present, and the boxes that they are made from.

    Args:
        labels: as for `build_places`.

    Returns:
        See `build_places`; it may be empty.
    """
    row = {image: number for number, image in enumerate(labels["image"])}
    column = {finding: number for number, finding in enumerate(sorted(set(used.boxes["finding"])))}
    matrix = labels[list(column)].to_numpy(dtype=float, na_value=np.nan)
    for reason, unwanted in ((ABSENT, lambda value: value == 0), (OPEN, np.isnan)):
        pairs = used.boxes[["image", "finding"]].itertuples(index=False)
        values = np.array([matrix[row[image], column[finding]] for image, finding in pairs], dtype=float)
        used = used.only(~unwanted(values), reason)
    masks = {}
    groups = used.boxes.groupby(["image", "finding"], sort=True)
    for (image, finding), boxes in progress(groups, total=groups.ngroups, what="draw boxes"):
        mask = in_frame(agreed_mask(boxes), resize)
        if mask.any():
            masks[str(image), str(finding)] = encode_mask(mask)
    pairs = used.boxes[["image", "finding"]].itertuples(index=False)
    used = used.only(np.array([tuple(pair) in masks for pair in pairs], dtype=bool), CROPPED)
    return pd.DataFrame([(*pair, mask) for pair, mask in masks.items()], columns=list(COLUMNS)), used
