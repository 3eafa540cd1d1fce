"""From a label table and the list of image files to the tables that the other stages read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trcgl.config import LabelsParams
from trcgl.labels.classes import candidate_findings, check_spelling, choose_classes
from trcgl.labels.groups import GROUPS
from trcgl.labels.merging import merge_labels
from trcgl.labels.selection import Filters, select_images
from trcgl.labels.splits import SPLITS, read_split_file, seeded_splits, stated_splits
from trcgl.labels.table import UNKNOWN, LabelTable
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import write_json, write_parquet
from trcgl.runtime.letters import seen_as

ABOUT_COLUMNS = ["image", "patient", "study", "projection", "sex", "age", "split"]


@dataclass(frozen=True)
class Labels:
    """The products of the stage.

    Attributes:
        selected: image, path, photometric, sorted by image; depends only on the table, the files and the filters.
        labels: image, patient, study, projection, sex, age, split, then one Int8 column per class (1, 0, missing =
            unknown), sorted by image.
        classes: {"classes": [{"name", "group", "positives": {split: n}, "prevalence"}], "not_findings": [name],
            "dropped": {name: training positives}}.
        rejected: row, image, reason, sorted by row.
        metrics: counts, for metrics/labels.json.
    """

    selected: pd.DataFrame
    labels: pd.DataFrame
    classes: dict[str, Any]
    rejected: pd.DataFrame
    metrics: dict[str, Any]

    def write(self, folder: str | Path) -> None:
        """Write selected.parquet, labels.parquet, classes.json and rejected.parquet into `folder`."""
        folder = Path(folder)
        write_parquet(folder / "selected.parquet", self.selected)
        write_parquet(folder / "labels.parquet", self.labels)
        # A ratio of counts is the same on every machine
        write_json(folder / "classes.json", self.classes, exact=True)
        write_parquet(folder / "rejected.parquet", self.rejected)


def build_labels(
    table: LabelTable,
    manifest: pd.DataFrame,
    params: LabelsParams,
    split_file: str | Path | None = None,
) -> Labels:
    """Select images, assign patients to splits, merge labels if a class table is given, and choose classes.

    Splits come from `split_file`, otherwise from the source itself. Patients for whom the source states no split are
    split by seed. They go to training and to those splits for which the source names no patient, so that an official
    test set stays as it is. `labels.uncertain` and `labels.missing` say how uncertain and blank labels are read.

    Where a normal label stands beside a finding, the finding stays and the image does not count as normal. Such images
    are counted in `normal_beside_finding`. Normal is a class only if `labels.findings` or the class table make it one;
    then its column repeats what the source says.

    Args:
        table: the table as an adapter returned it.
        manifest: the image files; column path, relative to the image folder.
        split_file: overrides all other splits; it must list every patient.

    Raises:
        InputError: no image is left; the source has a patient in two splits; the split file lacks a patient; a split
            is empty or has no positive of any class; a listed finding is unknown; a finding has the name of another
            column, or no negative in training.
    """
    if params.missing == "negative":
        table = table.with_silent_rows()
    if split_file is None:
        # Before rows are left out, because one of them may be the only one that states its patient's split
        table = _with_splits_of_patients(table)
    table, selected = select_images(table, manifest, Filters.from_params(params))
    uncertain, silent = len(table.uncertain), 0 if table.silent is None else len(table.silent)
    table = table.settled(params.uncertain, params.missing)
    split = _split(table, params, split_file)
    _check_splits(table, split, split_file)
    check_spelling(table, params)
    contradicting = table.having([table.normal]) & table.having(
        [name for name in table.vocabulary if name != table.normal and name not in params.not_findings]
    )
    if params.class_table is not None:
        table = merge_labels(table, params.class_table)
    findings = candidate_findings(table, params)
    matrix = table.matrix(findings)
    classes, dropped = choose_classes(findings, matrix, split, params, silent, source=table.source)
    names = [entry["name"] for entry in classes]
    _check_splits(table, split, split_file, classes)
    return Labels(
        selected=selected,
        labels=_frame(table, split, names, matrix[:, [findings.index(name) for name in names]]),
        classes={"classes": classes, "not_findings": list(params.not_findings), "dropped": dropped},
        rejected=table.rejected,
        metrics=_metrics(table, split, classes, len(dropped), int(contradicting.sum()), uncertain),
    )


def _with_splits_of_patients(table: LabelTable) -> LabelTable:
    """The table with the split of its patient in every row; "" where no row of the patient states one."""
    if (table.rows["split"] == "").all():
        return table
    patients = table.rows["patient"]
    stated = stated_splits(patients, table.rows["split"], table.source)
    split = pd.Series([stated.get(patient, "") for patient in patients.tolist()], dtype="str")
    return replace(table, rows=table.rows.assign(split=split))


def _split(table: LabelTable, params: LabelsParams, split_file: str | Path | None) -> np.ndarray:
    if split_file is None:
        stated = table.rows[table.rows["split"] != ""]
        splits = dict(zip(stated["patient"], stated["split"], strict=True))
        named = set(splits.values())
        splits |= seeded_splits(
            [patient for patient in table.rows["patient"].unique().tolist() if patient not in splits],
            seed=params.split_seed,
            validation_fraction=0.0 if "val" in named else params.validation_fraction,
            test_fraction=0.0 if "test" in named else params.test_fraction,
        )
    else:
        splits = read_split_file(split_file)
        _check_all_listed(split_file, table.rows["patient"], splits)
    codes, patients = pd.factorize(table.rows["patient"])
    split = np.array([splits[patient] for patient in patients.tolist()], dtype=object)[codes]
    assert sum(len(np.unique(codes[split == name])) for name in SPLITS) == len(patients), "a patient is in two splits"
    return split


def _check_all_listed(file: str | Path, patients: pd.Series, splits: Mapping[str, str]) -> None:
    listed = patients.isin(list(splits))
    if not listed.any():
        raise InputError(
            f"{file}: lists none of the label table's patients, such as '{patients[0]}'; give the split table of this "
            "data set"
        )
    if not listed.all():
        first = patients[~listed].iloc[0]
        raise InputError(
            f"{file}: lists {patients[listed].nunique()} of the {patients.nunique()} patients of the label table, not "
            f"'{first}'{seen_as(first)}; add the missing ones, or remove their rows from the label table"
        )


def _check_splits(
    table: LabelTable,
    split: np.ndarray,
    split_file: str | Path | None,
    classes: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Stop if a split has no image or, once `classes` are given, no positive of any class."""
    for name in SPLITS:
        images = int((split == name).sum())
        if images == 0 or (classes is not None and not any(entry["positives"][name] for entry in classes)):
            lacks = f"({images} images) has no positive of any class" if images else "has no image"
            remedy = (
                _more_patients(name, table.rows)
                if split_file is None
                else "put more patients of the label table into it"
            )
            raise InputError(f"{split_file or table.source}: the {name} split {lacks}; {remedy}")


def _more_patients(name: str, rows: pd.DataFrame) -> str:
    """How the user can get more patients into a split when there is no split file."""
    stated = rows["split"] != ""
    by_seed = not rows["patient"].isin(rows.loc[stated, "patient"]).all()
    given = "give 'dataset.split_file'"
    if not by_seed and name not in set(rows["split"]):
        return f"leave the split of other patients blank, so that some are drawn into it by seed, or {given}"
    if not by_seed or name in set(rows["split"]):
        # The fractions have no influence on this split
        return f"put more patients into it, or {given}"
    if name == "train":
        return f"lower 'labels.validation_fraction' or 'labels.test_fraction', or {given}"
    return f"raise 'labels.{'validation' if name == 'val' else name}_fraction', or {given}"


def _frame(table: LabelTable, split: np.ndarray, names: list[str], matrix: np.ndarray) -> pd.DataFrame:
    for name in names:
        if name in ABOUT_COLUMNS:
            raise InputError(
                f"{table.source}: a finding is called '{name}', as a column of labels.parquet is; rename the finding"
            )
    unknown = matrix == UNKNOWN
    about = table.rows.assign(split=pd.Series(split, dtype="str"))[ABOUT_COLUMNS]
    columns = {name: pd.arrays.IntegerArray(matrix[:, i], unknown[:, i]) for i, name in enumerate(names)}
    return pd.concat([about, pd.DataFrame(columns)], axis=1)


def _metrics(
    table: LabelTable,
    split: np.ndarray,
    classes: list[dict[str, Any]],
    dropped: int,
    contradicting: int,
    uncertain: int,
) -> dict[str, Any]:
    reasons = table.rejected["reason"].value_counts()
    rejected = reasons.groupby(reasons.index.map(_slug)).sum()
    return {
        "rows": table.source_rows,
        "kept": len(table.rows),
        "rejected": {"total": len(table.rejected)} | {str(reason): int(n) for reason, n in rejected.items()},
        "images": {name: int((split == name).sum()) for name in SPLITS},
        "patients": {name: int(table.rows["patient"][split == name].nunique()) for name in SPLITS},
        "findings": {name: sum(entry["group"] == name for entry in classes) for name in GROUPS},
        "dropped_findings": dropped,
        "normal_beside_finding": contradicting,
        # Only for data sets that have such labels
        **({"uncertain_labels": uncertain} if uncertain else {}),
    }


def _slug(reason: object) -> str:
    return re.sub(r"[\W_]+", "_", str(reason).lower()).strip("_")
