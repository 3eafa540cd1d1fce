"""Select the images to use: by projection, labelling method, excluding labels and existing files.

The result depends on nothing else. So a change of split, class list or threshold never decodes an image again.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trcgl.config import LabelsParams
from trcgl.labels.cells import name_key, say
from trcgl.labels.file_match import likely_file, match_files
from trcgl.labels.table import LabelTable, first_reason
from trcgl.runtime.errors import InputError
from trcgl.runtime.letters import seen_as

MISSING = "image file missing"
SIMILAR = 0.8
"""Of difflib: one wrong letter of five."""
SELECTED_COLUMNS = ["image", "path", "photometric"]
FILTER_KEYS = {name: f"'labels.{name}'" for name in ("projections", "methods", "exclude_images_with")}
"""Of a params file."""


@dataclass(frozen=True)
class Filters:
    """The conditions that an image must meet to be used.

    Attributes:
        projections, methods: allowed values of its row; None: any.
        exclude_images_with: labels that it must not have.
        perhaps: an uncertain label excludes an image, too, because it will count as present.
        given_in: where image folder and filters are set, for the message when no image is left.
        keys: the setting of each filter, for messages.
    """

    projections: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None
    exclude_images_with: tuple[str, ...] = ()
    given_in: str = "'dataset.images' and the filters in 'labels'"
    keys: Mapping[str, str] = field(default_factory=lambda: FILTER_KEYS)
    perhaps: bool = False

    @classmethod
    def from_params(cls, params: LabelsParams) -> "Filters":
        perhaps = params.uncertain == "positive"
        return cls(params.projections, params.methods, params.exclude_images_with, perhaps=perhaps)


def select_images(table: LabelTable, manifest: pd.DataFrame, filters: Filters) -> tuple[LabelTable, pd.DataFrame]:
    """The table with only the rows that are used, and their files.

    Args:
        manifest: the image files; column path, relative to the image folder.

    Returns:
        The table with its rows sorted by image, and image, path, photometric of the same rows in the same order.

    Raises:
        InputError: the table has no usable row, no row passes a filter, or a filter names a value in another spelling;
            the message says what the data set has.
    """
    rows = table.rows
    if rows.empty:
        row, image, _ = table.rejected.iloc[0]
        raise InputError(
            f"{table.source}: no row can be used ({by_reason(table.rejected['reason'])}; the first: row {row}, image "
            f"'{image}'); correct the rows"
        )
    chosen = [
        _chosen(table, "projection", filters.projections, filters.keys),
        _chosen(table, "method", filters.methods, filters.keys),
    ]
    paths, ambiguous = match_files(rows, manifest["path"])
    reasons = first_reason(
        ("projection not selected", ~chosen[0]),
        ("labelling method not selected", ~chosen[1]),
        *(
            (
                f"labelled {label}{' (or uncertain)' if filters.perhaps else ''}",
                table.having([label], perhaps=filters.perhaps),
            )
            for label in filters.exclude_images_with
        ),
        ("image file is ambiguous", ambiguous),
        (MISSING, paths == ""),
        ("image file is of several rows", pd.Series(paths).duplicated(keep=False)),
    )
    _say_unknown(table, filters)
    kept = table.reject(reasons)
    stated = rows["file"].where(rows["file"] != "", rows["image"])
    near = likely_file(stated[reasons == MISSING], manifest["path"])
    if kept.rows.empty:
        raise InputError(
            f"{table.source}: no image is left of {len(rows)} rows ({by_reason(pd.Series(reasons))}); "
            f"{near + '; ' if near else ''}check {filters.given_in}"
        )
    if near:
        say(f"{table.source}: images without a file: {(reasons == MISSING).sum()}; {near}")
    used = reasons == ""
    rows = kept.rows.assign(path=pd.Series(paths[used], dtype="str"))
    # Image names are unique, so the sort need not be stable; Arrow's takes half the time of pandas'
    order = pc.sort_indices(pa.array(rows["image"]))  # pyright: ignore[reportAttributeAccessIssue]
    rows = rows.take(order.to_numpy()).reset_index(drop=True)
    kept, selected = replace(kept, rows=rows.drop(columns="path")), rows[SELECTED_COLUMNS]
    return kept, selected


def _say_unknown(table: LabelTable, filters: Filters) -> None:
    """Log a line for each name in a filter that is unknown but similar to one in the table: a typo changes the rows.

    An unknown name without a similar one may belong to the whole data set, if the table is only a part of it.
    """
    rows = table.rows
    for key, wanted, known in (
        ("exclude_images_with", filters.exclude_images_with, table.vocabulary),
        ("projections", filters.projections or (), rows["projection"].unique().tolist()),
        ("methods", filters.methods or (), rows["method"].unique().tolist()),
    ):
        for name in wanted:
            others = [other for other in known if other and other not in wanted]
            near = [] if name in known else difflib.get_close_matches(name, others, n=1, cutoff=SIMILAR)
            if near:
                say(f"{filters.keys[key]} names '{name}', which no row has; if '{near[0]}' is meant, write '{near[0]}'")


def by_reason(reasons: pd.Series) -> str:
    """How many rows are left out for each reason: "labels missing: 3, image file missing: 1"."""
    return ", ".join(f"{reason}: {count}" for reason, count in reasons.value_counts().items())


def _chosen(table: LabelTable, column: str, wanted: tuple[str, ...] | None, keys: Mapping[str, str]) -> np.ndarray:
    rows = table.rows
    if wanted is None:
        return np.ones(len(rows), bool)
    key = keys[f"{column}s"]
    chosen = rows[column].isin(wanted).to_numpy(bool)
    keys = {name_key(value): value for value in wanted}
    for value, count in rows.loc[~chosen, column].value_counts().items():
        same = keys.get(name_key(str(value)))
        if same is not None and value:
            raise InputError(
                f"{table.source}: '{value}'{seen_as(str(value))} stands in {count} {'row' if count == 1 else 'rows'}, "
                f"and {key} names '{same}'; write both alike, or name both"
            )
    if not chosen.any():
        present = ", ".join(f"'{value}'" for value in sorted(rows[column].unique()))
        raise InputError(f"{table.source}: {key} ({', '.join(wanted)}) leaves no row; the table has: {present}")
    return chosen
