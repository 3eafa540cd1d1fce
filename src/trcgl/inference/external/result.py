"""The result of an external evaluation: as files, and as printed text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trcgl.evaluation.localisation import ALL, MEAN
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_json, write_csv, write_json

FILES = ("metrics.json", "per_class.csv", "subgroups.csv", "rejected.csv", "localisation.csv")
PART = "part of the images"
MARK = "findings_without_labels"
"""A key of metrics.json that the pipeline's own does not have."""


@dataclass(frozen=True)
class ExternalResult:
    """The result of an external evaluation.

    Attributes:
        metrics: counts, means and intervals; for metrics.json.
        per_class: as metrics/per_class.csv, without the column `model`.
        subgroups: as metrics/subgroups.csv, without the column `model`.
        rejected: row, image and reason of every row that was not scored.
        localisation: as metrics/localisation.csv, but the models are named by their folders; None without boxes.
    """

    metrics: dict[str, Any]
    per_class: pd.DataFrame
    subgroups: pd.DataFrame
    rejected: pd.DataFrame
    localisation: pd.DataFrame | None

    def write(self, folder: Path) -> None:
        """Write metrics.json and one CSV per table into `folder`; other files in it stay.

        If there is no localisation now, a table of it that an earlier run left there is removed.
        """
        metrics, per_class, subgroups, rejected, localisation = FILES
        ours = written_before(folder)
        write_json(folder / metrics, self.metrics)
        write_csv(folder / per_class, self.per_class)
        write_csv(folder / subgroups, self.subgroups)
        write_csv(folder / rejected, self.rejected)
        if self.localisation is not None:
            write_csv(folder / localisation, self.localisation)
        elif ours:
            (folder / localisation).unlink(missing_ok=True)

    def __str__(self) -> str:
        """Counts, means with intervals, a line per finding and per part of the images."""
        parts = [self._counts(), self._means(), self._findings(), self._subgroups(), self._places()]
        return "\n\n".join("\n".join(lines) for lines in parts if lines)

    def _counts(self) -> list[str]:
        found = self.metrics
        return [
            f"{found['images']} images of {found['patients']} patients; {len(self.rejected)} of {found['rows']} rows "
            "not scored" + "".join(f"\n  {count} {reason}" for reason, count in found["rejected"].items()),
            _listed("findings of the model that the labels do not have", found["findings_without_labels"]),
            _listed("labels that the model does not know", found["labels_without_finding"]),
            f"{found['scored_classes']} findings scored",
            *(["no intervals: they need patients to resample, and there is one"] if found["patients"] == 1 else []),
        ]

    def _means(self) -> list[str]:
        lines = []
        for key, value in self.metrics["result"].items():
            lines.append(f"{key:<12}{_number(value)}{_between(*self.metrics['intervals'].get(key, (np.nan, np.nan)))}")
        return lines

    def _findings(self) -> list[str]:
        width = max(len(name) for name in self.per_class["class"]) + 2
        lines = [f"{'finding':<{width}}{'group':<8}{'positives':>9}{'AP':>7}{'AUC':>7}{'F1':>7}"]
        for row in self.per_class.to_dict("records"):
            numbers = "".join(f"{_number(row[key]):>7}" for key in ("AP", "AUC", "F1"))
            lines.append(f"{row['class']:<{width}}{row['group']:<8}{row['positives']:>9}{numbers}")
        return lines

    def _subgroups(self) -> list[str]:
        rows = self.subgroups.to_dict("records")
        if not rows:
            return []
        names = [f"{row['subgroup']} {row['value']}" for row in rows]
        width = max(map(len, [*names, PART])) + 2
        lines = [f"{PART:<{width}}{'images':>7}{'findings':>9}{'mAP':>7}"]
        for name, row in zip(names, rows, strict=True):
            mean = f"{_number(row['mAP']):>7}{_between(row['mAP_low'], row['mAP_high'])}"
            lines.append(f"{name:<{width}}{row['images']:>7}{row['scored_classes']:>9}{mean}")
        return lines

    def _places(self) -> list[str]:
        table = self.localisation
        if table is None:
            return []
        means = table[(table["finding"] == MEAN) & (table["group"] == ALL)]
        return ["pointing game against boxes, mean over findings"] + [
            f"{row['model']} {row['method']}: {row['pointing']:.3f} [{row['low']:.3f}, {row['high']:.3f}], centre "
            f"{row['centre']:.3f}, IoU {row['iou']:.3f} ({row['images']} positives)"
            for row in means.to_dict("records")
        ]


def written_before(folder: Path) -> bool:
    """Whether an evaluation has written its results into a folder, of which it may replace all."""
    file = folder / FILES[0]
    try:
        return file.is_file() and MARK in read_json(file)
    except InputError:
        return False


def _listed(what: str, names: Sequence[str]) -> str:
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return f"{len(names)} {what}" + (f": {shown}" if names else "")


def _number(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{value:.3f}"


def _between(low: float, high: float) -> str:
    return "" if np.isnan(low) else f"  [{low:.3f}, {high:.3f}]"
