"""Which images are used: by projection, labelling method, excluding labels and the files that are there.

The result depends on nothing else, so another split, class list or threshold never decodes an image again.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trcgl.config import LabelsParams
from trcgl.labels.table import LabelTable, first_reason
from trcgl.runtime.errors import InputError

SELECTED_COLUMNS = ["image", "path", "photometric"]


@dataclass(frozen=True)
class Filters:
    """What an image must be to be used; None: anything.

    Attributes:
        projections, methods: of its row.
        exclude_images_with: labels that it must not have.
        given_in: where image folder and filters come from, for the message when nothing is left.
    """

    projections: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None
    exclude_images_with: tuple[str, ...] = ()
    given_in: str = "'dataset.images' and the filters in 'labels'"

    @classmethod
    def from_params(cls, params: LabelsParams) -> "Filters":
        return cls(params.projections, params.methods, params.exclude_images_with)


def select_images(table: LabelTable, manifest: pd.DataFrame, filters: Filters) -> tuple[LabelTable, pd.DataFrame]:
    """The table without the rows that are not used, and the files of those that are.

    Args:
        manifest: the image files; column path, relative to the image folder.

    Returns:
        The table with its rows sorted by image, and image, path, photometric of the same rows in the same order.

    Raises:
        InputError: a filter leaves no row; the message says what the data set has.
    """
    rows = table.rows
    chosen = [
        _chosen(rows, "projection", filters.projections),
        _chosen(rows, "method", filters.methods),
    ]
    paths, ambiguous = match_files(rows, manifest["path"])
    reasons = first_reason(
        ("projection not selected", ~chosen[0]),
        ("labelling method not selected", ~chosen[1]),
        *((f"labelled {label}", table.having([label])) for label in filters.exclude_images_with),
        ("image file is ambiguous", ambiguous),
        ("image file missing", paths == ""),
    )
    kept = table.reject(reasons)
    if kept.rows.empty:
        counts = pd.Series(reasons).value_counts()
        raise InputError(
            f"no image is left of {len(rows)} rows: {', '.join(f'{reason}: {n}' for reason, n in counts.items())}; "
            f"check {filters.given_in}"
        )
    used = reasons == ""
    rows = kept.rows.assign(path=pd.Series(paths[used], dtype="str"))
    # Image names differ, so that any sort does; Arrow's takes half the time of pandas'
    order = pc.sort_indices(pa.array(rows["image"]))  # pyright: ignore[reportAttributeAccessIssue]
    rows = rows.take(order.to_numpy()).reset_index(drop=True)
    kept, selected = replace(kept, rows=rows.drop(columns="path")), rows[SELECTED_COLUMNS]
    return kept, selected


def _chosen(rows: pd.DataFrame, column: str, wanted: tuple[str, ...] | None) -> np.ndarray:
    if wanted is None:
        return np.ones(len(rows), bool)
    chosen = rows[column].isin(wanted).to_numpy(bool)
    if not chosen.any():
        present = ", ".join(f"'{value}'" for value in sorted(rows[column].unique()))
        raise InputError(f"'labels.{column}s' ({', '.join(wanted)}) leaves no row; the label table has: {present}")
    return chosen


def match_files(rows: pd.DataFrame, paths: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The file of each image.

    A row that tells its `file` (patient1/study1/view1.jpg) has the file whose path ends so. Any other has the file
    whose base name is `image`; where several files have that name, the one in the row's folder counts
    (`.../folder/image`), if there is one.

    Args:
        rows: columns image, folder and file, as in `LabelTable.rows`.
        paths: the manifest's paths.

    Returns:
        Path per row ("" if there is no such file or several), and whether there are several.
    """
    found, several = _by_name(rows["image"], rows["folder"], paths)
    ambiguous = several.copy()
    if not rows["file"].any():
        return found, ambiguous
    depths = rows["file"].str.count("/").where(rows["file"] != "", -1)
    for depth in sorted(set(depths) - {-1}):
        own = (depths == depth).to_numpy(bool)
        endings = paths.str.extract(rf"((?:[^/]+/){{{depth}}}[^/]+)$")[0]
        repeated = endings.duplicated(keep=False) & endings.notna()
        single = endings.notna() & ~repeated
        found[own] = _look_up(rows["file"], endings[single], paths[single])[own]
        ambiguous[own] = rows["file"].isin(endings[repeated]).to_numpy(bool)[own]
    return found, ambiguous


def _by_name(images: pd.Series, folders: pd.Series, paths: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    names = paths.str.replace(r"^.*/", "", regex=True) if paths.str.contains("/", regex=False).any() else paths
    repeated = names.duplicated(keep=False).to_numpy(bool)
    found = _look_up(images, names[~repeated], paths[~repeated])
    ambiguous = images.isin(names[repeated]).to_numpy(bool)
    if ambiguous.any():
        in_folder = paths[repeated].str.extract(r"([^/]+/[^/]+)$")[0]
        single = in_folder.notna() & ~in_folder.duplicated(keep=False)
        by_folder = _look_up(folders + "/" + images, in_folder[single], paths[repeated][single])
        resolved = ambiguous & (by_folder != "")
        found = np.where(resolved, by_folder, found)
        ambiguous = ambiguous & ~resolved
    return found, ambiguous


def _look_up(keys: pd.Series, known: pd.Series, values: pd.Series) -> np.ndarray:
    """The value beside each key among the known ones, which differ; "" for a key that is not known."""
    # Arrow's hash lookup takes a third of the time of pandas' index
    place = pc.index_in(pa.array(keys), value_set=pa.array(known))  # pyright: ignore[reportAttributeAccessIssue]
    return np.append(values.to_numpy(object), "")[place.fill_null(len(values)).to_numpy()]
