"""Which images are used: by projection, labelling method, excluding labels and the files that are there.

The result depends on nothing else, so another split, class list or threshold never decodes an image again.
"""

import numpy as np
import pandas as pd

from trcgl.config import LabelsParams
from trcgl.labels.table import LabelTable, first_reason
from trcgl.runtime.errors import InputError

SELECTED_COLUMNS = ["image", "path", "photometric"]


def select_images(table: LabelTable, manifest: pd.DataFrame, params: LabelsParams) -> tuple[LabelTable, pd.DataFrame]:
    """The table without the rows that are not used, and the files of those that are.

    Args:
        manifest: the image files; column path, relative to the image folder.

    Returns:
        The table, and image, path, photometric sorted by image. Both hold the same images.

    Raises:
        InputError: a filter leaves no row; the message says what the data set has.
    """
    rows = table.rows
    chosen = [
        _chosen(rows, "projection", params.projections),
        _chosen(rows, "method", params.methods),
    ]
    paths, ambiguous = match_files(rows["image"], rows["folder"], manifest["path"])
    reasons = first_reason(
        ("projection not selected", ~chosen[0]),
        ("labelling method not selected", ~chosen[1]),
        *((f"labelled {label}", table.having([label])) for label in params.exclude_images_with),
        ("image file is ambiguous", ambiguous),
        ("image file missing", paths == ""),
    )
    kept = table.reject(reasons)
    if kept.rows.empty:
        counts = pd.Series(reasons).value_counts()
        raise InputError(
            f"no image is left of {len(rows)} rows: {', '.join(f'{reason}: {n}' for reason, n in counts.items())}; "
            "check 'dataset.images' and the filters in 'labels'"
        )
    used = reasons == ""
    selected = pd.DataFrame(
        {
            "image": rows["image"][used],
            "path": pd.Series(paths[used], index=rows.index[used], dtype="str"),
            "photometric": rows["photometric"][used],
        }
    )
    return kept, selected.sort_values("image", ignore_index=True)[SELECTED_COLUMNS]


def _chosen(rows: pd.DataFrame, column: str, wanted: tuple[str, ...] | None) -> np.ndarray:
    if wanted is None:
        return np.ones(len(rows), bool)
    chosen = rows[column].isin(wanted).to_numpy(bool)
    if not chosen.any():
        present = ", ".join(f"'{value}'" for value in sorted(rows[column].unique()))
        raise InputError(f"'labels.{column}s' ({', '.join(wanted)}) leaves no row; the label table has: {present}")
    return chosen


def match_files(images: pd.Series, folders: pd.Series, paths: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The file of each image by its exact base name.

    Where several files have that name, the one in the row's folder counts (`.../folder/image`), if there is one.

    Args:
        images, folders: file name and folder ("" if unknown) per row.
        paths: the manifest's paths.

    Returns:
        Path per row ("" if there is no such file or several), and whether there are several.
    """
    names = paths.str.replace(r"^.*/", "", regex=True)
    repeated = names.duplicated(keep=False).to_numpy(bool)
    unique = ~repeated
    place = pd.Index(names[unique]).get_indexer(pd.Index(images))
    found = np.where(place >= 0, paths[unique].to_numpy(object)[place] if unique.any() else "", "")
    ambiguous = images.isin(names[repeated]).to_numpy(bool)
    if ambiguous.any():
        in_folder = paths[repeated].str.extract(r"([^/]+/[^/]+)$")[0]
        single = ~in_folder.duplicated(keep=False) & in_folder.notna()
        place = pd.Index(in_folder[single]).get_indexer(pd.Index(folders + "/" + images))
        by_folder = ambiguous & (place >= 0) & (folders != "").to_numpy(bool)
        found[by_folder] = paths[repeated][single].to_numpy(object)[place[by_folder]]
        ambiguous = ambiguous & ~by_folder
    return found, ambiguous
