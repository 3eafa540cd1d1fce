"""Boxes brought to the images that they are of, and to their scale.

Boxes are in pixels of the original image; the files at hand may be smaller copies of it. A box is drawn in the frame of
the original and then resized as the picture is, so only that frame must be known: NIH's is 1024 px, VinDr's is in the
DICOM header, or in a table where the files are copies in another format.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from trcgl.images.decode import header_size
from trcgl.images.kinds import START, format_of
from trcgl.images.upright import why_not_as_stored
from trcgl.labels.boxes import read_boxes
from trcgl.labels.file_names import SUFFIX
from trcgl.labels.merging import read_class_table
from trcgl.labels.vindr_boxes import SIZE, read_box_sizes
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import progress
from trcgl.tables import read_header

CLEARLY_SMALLER = 0.8
"""Share of the original's side from which on down it would show that boxes are in pixels of the copy."""
CHANCE = 1e-3
"""Of that all boxes lie by chance in the corner that a copy would take. An image's do with at most the cube of the
copy's share of the side: measured on NIH's 984 boxes, 0.09 in the corner of half the side, 0.39 in that of three
quarters."""


@dataclass(frozen=True)
class Words:
    """What messages call what boxes must fit, and what gives it: options of a command, or keys of the params file."""

    image: str
    finding: str
    sizes: str
    class_table: str


@dataclass(frozen=True)
class BoxFiles:
    """Where boxes come from.

    Attributes:
        boxes: NIH's or VinDr's table.
        sizes: table of the originals' sizes; None: boxes and DICOM headers state them.
        class_table: merges labels into the findings; None: labels as they are.
    """

    boxes: Path
    sizes: Path | None
    class_table: Path | None
    words: Words


@dataclass(frozen=True)
class UsedBoxes:
    """The boxes of some images and findings.

    Attributes:
        boxes: as `read_boxes`, with the names of the label table and every width and height; a row of the source whose
            label is in several classes comes once for each.
        left_out: reason -> rows of the source.
        rows: of the source; all of them are in `boxes` or counted in `left_out`.
    """

    boxes: pd.DataFrame
    left_out: dict[str, int]
    rows: int

    def __post_init__(self) -> None:
        assert self.boxes["row"].nunique() + sum(self.left_out.values()) == self.rows, "rows in = used + left out"

    def only(self, kept: np.ndarray, reason: str) -> "UsedBoxes":
        """Those that are `kept` (bool [n]); rows of which none is are counted under the reason."""
        boxes = self.boxes[kept].reset_index(drop=True)
        lost = self.boxes["row"].nunique() - boxes["row"].nunique()
        return UsedBoxes(boxes, self.left_out | ({reason: lost} if lost else {}), self.rows)

    def __str__(self) -> str:
        said = "".join(f"; {count} left out: {reason}" for reason, count in self.left_out.items())
        return f"{self.boxes['row'].nunique()} of {self.rows} rows of boxes are used{said}"


class _Original(NamedTuple):
    """The image that boxes were drawn in.

    Attributes:
        table: states the size, and may be wrong; None: all images have it (NIH), or the DICOM file says it.
    """

    width: float
    height: float
    table: Path | None = None

    @property
    def by(self) -> str:
        """Who states the size, in a message behind it."""
        return "" if self.table is None else f" (by {self.table})"


def boxes_of(
    files: BoxFiles, selected: pd.DataFrame, images: Path, names: Sequence[str], findings: Sequence[str]
) -> UsedBoxes:
    """The boxes of some images and findings.

    Args:
        selected: image, path (in the folder `images`) of these images and maybe of others.
        names: of the images.

    Raises:
        InputError: no box is of one of the images or of one of the findings, an original's size is unknown, or boxes
            are at another scale.
    """
    matched = matched_boxes(files, names)
    return of_findings(files, at_scale(files, matched, selected, images), findings)


def matched_boxes(files: BoxFiles, names: Sequence[str]) -> UsedBoxes:
    """The boxes of the images by their names; no image is opened.

    Raises:
        InputError: see `boxes_of`.
    """
    path, listed = files.boxes, read_boxes(files.boxes)
    if listed.boxes.empty:
        raise InputError(f"{path}: has no box, only rows that state that nothing was found; give a table with boxes")
    normal = listed.rows - len(listed.boxes)
    all_boxes = UsedBoxes(listed.boxes, {"states that nothing was found": normal} if normal else {}, listed.rows)
    known = table_names(listed.boxes["image"], names)
    used = all_boxes.only(known != "", f"not of {files.words.image}")
    if used.boxes.empty:
        raise InputError(
            f"{path}: no box is of {files.words.image} (the first box: '{listed.boxes['image'].iloc[0]}', the first "
            f"image: '{names[0]}'); give the boxes of these images"
        )
    return UsedBoxes(used.boxes.assign(image=known[known != ""]), used.left_out, used.rows)


def table_names(listed: pd.Series, names: Sequence[str]) -> np.ndarray:
    """The label table's names of listed images, "" of others; one without suffix is that of an image of any format."""
    exact = set(names)
    by_stem = {SUFFIX.sub("", name): name for name in names}
    return np.array([name if name in exact else by_stem.get(name, "") for name in listed], dtype=object)


def of_findings(files: BoxFiles, used: UsedBoxes, findings: Sequence[str]) -> UsedBoxes:
    """Those of the findings, by the names that these have in the class table, if there is one.

    Raises:
        InputError: see `boxes_of`.
    """
    words, boxes = files.words, used.boxes.assign(merged=used.boxes["finding"])
    if files.class_table is not None:
        pairs = read_class_table(files.class_table).rename(columns={"label": "finding", "class": "merged"})
        boxes = boxes.drop(columns="merged").merge(pairs, on="finding", how="left")
    known = boxes["merged"].isin(findings).to_numpy(bool)
    others = ", ".join(f"'{name}'" for name in boxes["merged"].fillna(boxes["finding"])[~known].unique())
    if not known.any():
        raise InputError(
            f"{files.boxes}: no box of {words.image} shows {words.finding} ({_first(findings)}), only {others}; write "
            f"the names alike, or merge them by {words.class_table}"
        )
    named = boxes.assign(finding=boxes["merged"]).drop(columns="merged")
    return UsedBoxes(named, used.left_out, used.rows).only(known, f"not of {words.finding}, but of {others}")


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def at_scale(files: BoxFiles, used: UsedBoxes, selected: pd.DataFrame, images: Path) -> UsedBoxes:
    """Boxes with the originals' sizes, if they can be at that scale; the header of each image is read.

    Raises:
        InputError: see `boxes_of`.
    """
    path, boxes = files.boxes, used.boxes
    stated = None if files.sizes is None else read_box_sizes(files.sizes)
    place = dict(zip(selected["image"], selected["path"], strict=True))
    sized = path if set(SIZE) <= set(read_header(path)) else None
    frames, chance, most = np.empty((len(boxes), 2)), 1.0, (0, 0)
    groups = boxes.groupby("image", sort=False)
    for image, part in progress(groups, total=groups.ngroups, what="look at images with boxes"):
        file = images / place[str(image)]
        width, height = header_size(file)
        original = _original(files, stated, sized, part, file, width, height)
        frames[part.index] = original.width, original.height
        _check_within(path, part, original)
        if width is not None and height is not None:
            _check_shape(path, file, (width, height), original)
            _check_upright(path, file)
            inside = (part["x"] + part["w"] <= width) & (part["y"] + part["h"] <= height)
            if width <= CLEARLY_SMALLER * original[0]:
                # Once per image: several readers mark one lesion, and one lesion may have several names
                chance *= (width / original[0]) ** 3 if inside.all() else np.inf
                most = max(most, (width, height))
    if chance < CHANCE:
        raise InputError(
            f"{path}: all boxes lie within the {most[0]} x {most[1]} px that the copies of the images have, so they "
            "seem to be in pixels of the copies; boxes must be in pixels of the originals"
        )
    return UsedBoxes(boxes.assign(width=frames[:, 0], height=frames[:, 1]), used.left_out, used.rows)


def _original(
    files: BoxFiles,
    stated: pd.DataFrame | None,
    sized: Path | None,
    boxes: pd.DataFrame,
    file: Path,
    width: int | None,
    height: int | None,
) -> _Original:
    """The image that the boxes of one image were drawn in.

    Args:
        stated: as `read_box_sizes`; it has the last word.
        sized: the table of boxes, if it states sizes itself.
        width, height: of the file at hand.
    """
    first = boxes.iloc[0]
    if stated is not None and (name := SUFFIX.sub("", first["image"])) in stated.index:
        return _Original(float(stated["width"][name]), float(stated["height"][name]), files.sizes)
    if np.isfinite(first[SIZE].to_numpy(np.float64)).all():
        return _Original(float(first["width"]), float(first["height"]), sized)
    if width is not None and height is not None and _is_dicom(file):
        return _Original(float(width), float(height))
    raise InputError(
        f"{files.boxes}: row {first['row']}: boxes are in pixels of the original image, whose size {file} does not "
        "state (it is not DICOM)"
        + (
            f"; give a table with image_id, width and height of the originals with {files.words.sizes}"
            if stated is None
            else f", nor does the table of sizes, which has no row for '{first['image']}'; add it"
        )
    )


def _is_dicom(file: Path) -> bool:
    with file.open("rb") as handle:
        return format_of(handle.read(START)) == "DICOM"


def _check_within(path: Path, boxes: pd.DataFrame, original: _Original) -> None:
    """Stop on a box of an image that reaches out of it by more than a pixel, for corners are rounded."""
    right, bottom = boxes["x"] + boxes["w"], boxes["y"] + boxes["h"]
    beyond = (boxes["x"] < -1) | (boxes["y"] < -1) | (right > original[0] + 1) | (bottom > original[1] + 1)
    if beyond.any():
        place = int(np.argmax(beyond))
        row = boxes.iloc[place]
        raise InputError(
            f"{path}: row {row['row']}: the box of '{row['image']}' goes from {row['x']:.0f}, {row['y']:.0f} to "
            f"{right.iloc[place]:.0f}, {bottom.iloc[place]:.0f}, out of the original image of {original[0]:.0f} x "
            f"{original[1]:.0f} px{original.by}; boxes are in pixels of the original"
        )


def _check_shape(path: Path, file: Path, copy: tuple[int, int], original: _Original) -> None:
    """Stop on a copy of another shape than the original, beyond the rounding of a pixel."""
    scale = max(copy[0] / original[0], copy[1] / original[1])
    if abs(original[0] * scale - copy[0]) > 1 or abs(original[1] * scale - copy[1]) > 1:
        why, remedy = "the copy was padded, cut or stretched", "give copies of the same shape"
        if original.table is not None:
            why, remedy = f"{why}, or this size is wrong", f"{remedy}, or correct the size"
        raise InputError(
            f"{path}: {file} has {copy[0]} x {copy[1]} px and its original {original[0]:.0f} x {original[1]:.0f}"
            f"{original.by}: {why}; {remedy}"
        )


def _check_upright(path: Path, file: Path) -> None:
    """Stop on a picture that is shown otherwise than its pixels are stored: boxes may have been drawn in either."""
    why = why_not_as_stored(file)
    if why:
        raise InputError(
            f"{path}: {file} {why}, so boxes may not fit it; give the picture that they were drawn on, upright and "
            "with square pixels"
        )
