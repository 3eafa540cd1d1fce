"""Check that boxes can be read, belong to these images and have their scale."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from trcgl.config import Params
from trcgl.doctor.said import Said, problem, warning
from trcgl.labels.build import Labels
from trcgl.places.boxes import at_scale, matched_boxes, of_findings
from trcgl.places.build import box_files
from trcgl.runtime.errors import InputError

OPENED = 100
"""Images with boxes whose file is opened; the stage opens all of them."""


def check_boxes(params: Params, labels: Labels) -> Iterator[Said]:
    """The result that read_boxes will have, or why it will stop; nothing if there is no table of boxes."""
    files = box_files(params)
    if files is None:
        return
    findings = [entry["name"] for entry in labels.classes["classes"]]
    try:
        matched = matched_boxes(files, labels.selected["image"].tolist())
        used = of_findings(files, matched, findings)
        images = matched.boxes["image"].unique()
        some = images[np.unique(np.linspace(0, len(images) - 1, min(OPENED, len(images))).round().astype(int))]
        tried = matched.only(matched.boxes["image"].isin(some).to_numpy(bool), "not tried")
        at_scale(files, tried, labels.selected, Path(params.dataset.images))
    except InputError as error:
        yield problem("dataset.boxes", error)
        return
    yield Said("boxes", f"{used}; {len(some)} of {len(images)} images were tried and fit")
    training = labels.labels.loc[labels.labels["split"] == "train", "image"]
    if not used.boxes["image"].isin(training).any():
        yield warning("dataset.boxes", "no box is of a training image, so class maps will learn from labels alone")
