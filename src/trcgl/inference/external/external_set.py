"""An external test set: a label table and an image folder, mapped to the findings of a saved classifier."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.artifacts.pixels import Pixels
from trcgl.classifier.network.model import ModelConfig
from trcgl.evaluation.split import EvaluationSet
from trcgl.evaluation.subgroups import SUBGROUPS
from trcgl.images.manifest import no_folder, scan_images
from trcgl.labels.adapters import read_table
from trcgl.labels.merging import merge_labels
from trcgl.labels.selection import Filters, select_images
from trcgl.labels.table import UNKNOWN, LabelTable
from trcgl.places.boxes import BoxFiles, Words, boxes_of
from trcgl.places.build import stated_places
from trcgl.runtime.errors import InputError
from trcgl.runtime.letters import seen_as
from trcgl.runtime.logging import get_logger

log = get_logger("evaluate")
WORDS = Words(
    image="a scored image", finding="a finding of the model", sizes="--box-sizes", class_table="--class-table"
)
KEYS = {"projections": "--projections", "exclude_images_with": "--exclude"}


@dataclass(frozen=True)
class ExternalSet:
    """The files of a test set, and the part of it that is used.

    Attributes:
        dataset: format of the label table, as `dataset.name`.
        images: folder of the images.
        labels: label table.
        split: train, val or test: images that the label table assigns to this split; None: all.
        projections: views to use; None: all.
        excluded: images with any of these labels are left out.
        class_table: merges fine labels into classes, as `labels.class_table`; None: labels are used as they are.
        boxes: table of boxes, NIH's or VinDr's; None: localisation is not evaluated.
        box_sizes: table with the sizes of the original images that the boxes refer to; None: the sizes come with the
            boxes or from DICOM headers.
    """

    dataset: str
    images: Path
    labels: Path
    split: str | None = None
    projections: tuple[str, ...] | None = None
    excluded: tuple[str, ...] = ()
    class_table: Path | None = None
    boxes: Path | None = None
    box_sizes: Path | None = None

    def read(self) -> tuple[LabelTable, pd.DataFrame]:
        """The rows that are used and have an image file, and a table (image, path, photometric) of the same rows.

        Raises:
            InputError: the table or folder cannot be read, the table lacks the value of a filter or states no split, or
                no row is left.
        """
        if not self.images.is_dir():
            raise InputError(f"{self.images}: {no_folder(self.images)}; give the folder of the images with --images")
        table = self._of_split(read_table(self.dataset, self.labels))
        present = sorted(table.rows["projection"].unique())
        for name in self.projections or ():
            if name not in present:
                listed = ", ".join(f"'{projection}'" for projection in present)
                raise InputError(
                    f"--projections: {self.labels} has no projection '{name}'{seen_as(name)}; it has {listed}"
                )
        for name in self.excluded:
            if name not in table.vocabulary:
                raise InputError(
                    f"--exclude: {self.labels} has no label '{name}'{seen_as(name)}; names must match exactly"
                )
        given_in = "--images, --split, --projections and --exclude"
        filters = Filters(self.projections, None, self.excluded, given_in, KEYS)
        table, selected = select_images(table, scan_images(self.images), filters)
        return table if self.class_table is None else merge_labels(table, self.class_table), selected

    def _of_split(self, table: LabelTable) -> LabelTable:
        """The rows of `split`; a warning if none was asked for and the table states splits other than test."""
        counts = table.rows["split"][table.rows["split"] != ""].value_counts()
        if self.split is None:
            if others := [f"{count} images to {name}" for name, count in counts.items() if name != "test"]:
                log.warning(
                    "%s: assigns %s, and these are scored, too; --split test scores the test images alone",
                    self.labels, " and ".join(others),
                )  # fmt: skip
            return table
        if self.split not in counts:
            stated = ", ".join(f"'{name}'" for name in counts.index) or "none"
            raise InputError(
                f"--split: {self.labels} assigns no image to '{self.split}'; splits that it states: {stated}"
            )
        return table.reject(np.where(table.rows["split"] == self.split, "", "another split").astype(object))

    def places_of(
        self, selected: pd.DataFrame, table: LabelTable, config: ModelConfig, resize: str
    ) -> pd.DataFrame | None:
        """Places of the model's findings in the images, from the boxes: image, finding, mask (PNG).

        None if no table of boxes is given. The log counts the boxes that are left out.

        Args:
            selected: image, path of the table's rows.
            table: only findings that are present in an image have a place in it.
            resize: the mode in which images are resized.

        Raises:
            InputError: see `boxes_of`; or no place is left.
        """
        if self.boxes is None:
            return None
        files = BoxFiles(self.boxes, self.box_sizes, self.class_table, WORDS)
        names, findings = table.rows["image"].tolist(), list(config.class_names)
        used = boxes_of(files, selected, self.images, names, findings)
        labels = pd.DataFrame(_labels_of(table, findings), columns=pd.Index(findings)).assign(image=names)
        places, used = stated_places(used, labels, resize)
        log.info("%s: %s", self.boxes, used)
        if places.empty:
            raise InputError(f"{self.boxes}: no box is left: {used}; give the boxes that this label table goes with")
        return places

    def check_findings(self, config: ModelConfig, table: LabelTable, model: str) -> None:
        """Raise an InputError if the labels have none of the model's findings; warn if no finding can be scored."""
        findings, labels = config.class_names, table.vocabulary
        known = [name for name in findings if name in labels]
        if known and not any({0, 1} <= set(column.tolist()) for column in table.matrix(known).T):
            log.warning(
                "%s: no finding can be scored: none is present in one image and absent in another (blank is unknown)",
                self.labels,
            )
        if not known:
            raise InputError(
                f"{self.labels}: has none of the findings of {model} ({', '.join(findings[:4])}, ...), only "
                f"{', '.join(labels[:4])}, ...; names must match exactly, or be merged by --class-table"
            )


def evaluation_set(table: LabelTable, images: Pixels, config: ModelConfig) -> EvaluationSet:
    """The images of a table, with the labels for the model's findings.

    A finding that is not in the table is unknown in every image. The prevalence is that of this set.

    Args:
        images: pixels of the table's rows.
    """
    findings = list(config.class_names)
    labels = _labels_of(table, findings)
    prevalence = np.nansum(labels, axis=0) / np.maximum((~np.isnan(labels)).sum(axis=0), 1)
    return EvaluationSet(
        names=table.rows["image"].tolist(),
        patients=table.rows["patient"].to_numpy(),
        images=images,
        labels=labels,
        classes=pd.DataFrame({"name": findings, "group": config.class_groups, "prevalence": prevalence}),
        about=table.rows[list(SUBGROUPS)],
    )


def _labels_of(table: LabelTable, findings: list[str]) -> np.ndarray:
    """float [N, C] of 1, 0 and NaN (unknown)."""
    known = [name for name in findings if name in table.vocabulary]
    labels = np.full((len(table.rows), len(findings)), np.nan)
    stated = table.matrix(known).astype(np.float64)
    labels[:, [findings.index(name) for name in known]] = np.where(stated == UNKNOWN, np.nan, stated)
    return labels
