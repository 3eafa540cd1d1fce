"""Which file each image of a label table has."""

import re
import unicodedata
from collections.abc import Iterable
from typing import TypeVar
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trcgl.labels.cells import say
from trcgl.labels.file_names import folded, format_of, stem_of
from trcgl.runtime.letters import clean_text, plainly

Value = TypeVar("Value")


def match_files(rows: pd.DataFrame, paths: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The file of each image.

    If a row states its `file` (patient1/study1/view1.jpg), the file is the one with this path or, if there is none, the
    one whose path ends in this way. Otherwise it is the file whose base name is `image`. If several files have that
    name, the one in the row's folder (`.../folder/image`) is taken, if there is one.

    If an image has no such file, a similar name is accepted: it may differ in capitals, in the Unicode form of its
    letters or in the spelling of its format (`.jpeg`), or have a suffix where the table states none. The match must be
    unique for both image and file; a log line reports it. A file of another format never matches.

    Another line says so if at least half of the images that have files have several: the folder probably holds masks or
    copies beside the images, and an image without its own file may get one of those.

    Args:
        rows: columns image, folder and file, as in `LabelTable.rows`.
        paths: the manifest's paths.

    Returns:
        For each row its path ("" if there is no such file or several), and whether there are several.
    """
    found, ambiguous = _exactly(rows, paths)
    if ambiguous.any() and ambiguous.sum() >= (found != "").sum():
        _say_ambiguous(rows, ambiguous, found, paths)
    missing = (found == "") & ~ambiguous
    if missing.any():
        _nearly(rows, missing, found, paths)
    return found, ambiguous


def likely_file(missing: pd.Series, paths: pd.Series) -> str:
    """A sentence that names an image without a file and the file that is probably meant; "" if no name is similar."""
    similar = {_letters(path): path for path in paths} if len(missing) else {}
    for name in missing:
        path = similar.get(_letters(name))
        if path is not None:
            return f"for '{name}' the folder has '{path}': correct the name in the table, or rename the file"
    return ""


def _letters(name: str) -> str:
    """The key that similar names share: letters and digits, without folder, suffix, leading zeros and %20.

    Numbers stay apart (`1_0` is not `10`), and `1.0` is `1`, as a table writes it that was read as numbers.
    """
    text = unicodedata.normalize("NFKC", plainly(stem_of(clean_text(unquote(name)))))
    text = re.sub(r"^(\d+)\.0+$", r"\1", text)
    text = re.sub(r"(?<=\d)[\s_\-.]+(?=\d)", "+", text)
    return re.sub(r"[\s_\-.]+", "", text).lstrip("0")


def _say_ambiguous(rows: pd.DataFrame, ambiguous: np.ndarray, found: np.ndarray, paths: pd.Series) -> None:
    """Log a line that names two of the folders that hold files of one name."""
    first = int(ambiguous.argmax())
    name = str(rows["file"][first] or rows["image"][first])
    one, other = sorted(paths[("/" + paths).str.endswith(f"/{name}")])[:2]
    places = [f"'{path[: -len(name)].rstrip('/') or '.'}'" for path in (one, other)]
    among = ambiguous.sum() + (found != "").sum()
    say(
        f"image '{name}' has files in the folders {' and '.join(places)}, so it is unknown which is meant; such "
        f"images: {ambiguous.sum()} of {among} with a file. 'dataset.images' should name one folder, or the table a "
        f"path ({one})"
    )


def _nearly(rows: pd.DataFrame, missing: np.ndarray, found: np.ndarray, paths: pd.Series) -> None:
    """Fill in files with a similar name for images that have no file of their exact name.

    Args:
        missing: bool per row, whether it has no file.
        found: path per row, changed in place.
    """
    wanted = {int(row): str(rows["file"][row] or rows["image"][row]) for row in np.flatnonzero(missing)}
    free = paths[~paths.isin(found[found != ""])].tolist()
    for depth in sorted({name.count("/") for name in wanted.values()}):
        files = _grouped((_key(path, depth), path) for path in free)
        images = _grouped((_key(name, depth), row) for row, name in wanted.items() if name.count("/") == depth)
        for key, (row, *others) in images.items():
            stated = format_of(wanted[row])
            near = [path for path in files.get(key, ()) if stated in ("", format_of(path))]
            if len(near) == 1 and not others:
                found[row] = near[0]
    taken = [row for row in wanted if found[row]]
    if taken:
        say(
            f"file '{found[taken[0]]}' is taken for '{wanted[taken[0]]}', though its name differs in capitals, form of "
            f"letters or suffix (images with such a file: {len(taken)})"
        )


def _grouped(pairs: Iterable[tuple[str, Value]]) -> dict[str, list[Value]]:
    groups: dict[str, list[Value]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def _key(path: str, folders: int) -> str:
    """The key of a path: its name and last `folders` folders, in small letters and one Unicode form, without suffix."""
    parts = path.split("/")[-1 - folders :]
    return "/".join([*map(folded, parts[:-1]), stem_of(parts[-1])])


def _exactly(rows: pd.DataFrame, paths: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    found, ambiguous = _by_name(rows["image"], rows["folder"], paths)
    if not rows["file"].any():
        return found, ambiguous
    ambiguous = ambiguous.copy()
    depths = rows["file"].str.count("/").where(rows["file"] != "", -1)
    for depth in sorted(set(depths) - {-1}):
        own = (depths == depth).to_numpy(bool)
        endings = paths.str.extract(rf"((?:[^/]+/){{{depth}}}[^/]+)$")[0]
        repeated = endings.duplicated(keep=False) & endings.notna()
        single = endings.notna() & ~repeated
        found[own] = _look_up(rows["file"], endings[single], paths[single])[own]
        ambiguous[own] = rows["file"].isin(endings[repeated]).to_numpy(bool)[own]
    # The whole path below the image folder goes before a longer one that ends like it. In a table with paths, a name
    # alone is the path of a file at the top
    whole = _look_up(rows["file"].where(rows["file"] != "", rows["image"]), paths, paths)
    found = np.where(whole != "", whole, found)
    return found, ambiguous & (whole == "")


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
    """The entry of `values` for each key, by its position in `known` (all different); "" for an unknown key."""
    # Arrow's hash lookup takes a third of the time of pandas' index
    place = pc.index_in(pa.array(keys), value_set=pa.array(known))  # pyright: ignore[reportAttributeAccessIssue]
    return np.append(values.to_numpy(object), "")[place.fill_null(len(values)).to_numpy()]
