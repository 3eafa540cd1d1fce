"""Match bounding boxes with their images, and find the image size that the boxes refer to.

Boxes are in pixels of the original image, but the available files may be smaller copies of it. A box is rasterised at
the original's size and then resized in the same way as the image. So only the original's size must be known: for NIH it
is 1024 px; for VinDr it is in the DICOM header, or in a table if the files are copies in another format.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from trcgl.images.decode import UnreadableImage, decode, header_size
from trcgl.images.kinds import START, format_of
from trcgl.images.upright import why_not_as_stored
from trcgl.labels.boxes import read_boxes
from trcgl.labels.file_names import SUFFIX
from trcgl.labels.file_names import format_of as format_of_name
from trcgl.labels.merging import read_class_table
from trcgl.labels.vindr_boxes import SIZE, read_box_sizes
from trcgl.runtime.errors import InputError, some_of
from trcgl.runtime.logging import get_logger, progress
from trcgl.runtime.picture_suffixes import PACKED
from trcgl.tables import read_header

log = get_logger("boxes")

CLEARLY_SMALLER = 0.8
"""Ratio of the copy's width to the original's. Only at this ratio or below do the boxes show whether they are in pixels
of the copy: if they are, all of them fit into it."""
SMALL = 0.8
"""Share of the originals' sides. If nearly all boxes of many images lie within it, in the upper left, they may be in
pixels of smaller copies."""
OUTLIERS = 0.02
"""Share of the images that may be exceptions from that."""
UNITS = ((1.0, "fractions"), (100.0, "percent"))
"""Largest coordinates in other units. No box is that near to the corner of an image of LARGE pixels a side."""
LARGE = 400
ORIGINAL = "dcm"
"""The format of originals, as `format_of_name` calls it."""
CHANCE = 1e-3
"""Limit for the probability that correct boxes all fit by chance into the upper left corner. For one image this
probability is at most (corner's width / original's width) ** 3. Measured on NIH's 984 boxes: 0.09 for half the side,
0.39 for three quarters."""


@dataclass(frozen=True)
class Words:
    """Words for messages: what the images and findings are called that boxes must match, and which command options (or
    params keys) give the table of sizes and the class table."""

    image: str
    finding: str
    sizes: str
    class_table: str


@dataclass(frozen=True)
class BoxFiles:
    """The files that boxes are read from.

    Attributes:
        boxes: NIH's or VinDr's table of boxes.
        sizes: table of the originals' sizes; None: the sizes come with the boxes or from DICOM headers.
        class_table: merges labels into findings; None: labels are used as they are.
        words: see `Words`.
    """

    boxes: Path
    sizes: Path | None
    class_table: Path | None
    words: Words


@dataclass(frozen=True)
class UsedBoxes:
    """The boxes of some images and findings.

    Attributes:
        boxes: as from `read_boxes`, but with the image names of the label table and with the width and height of every
            original. A source row whose label belongs to several classes appears once for each class.
        left_out: reason -> number of source rows.
        rows: number of all source rows; each is in `boxes` or counted in `left_out`.
    """

    boxes: pd.DataFrame
    left_out: dict[str, int]
    rows: int

    def __post_init__(self) -> None:
        assert self.boxes["row"].nunique() + sum(self.left_out.values()) == self.rows, "rows in = used + left out"

    def only(self, kept: np.ndarray, reason: str) -> "UsedBoxes":
        """Only the boxes that are `kept` (bool [n]). Source rows without any kept box are counted under `reason`."""
        boxes = self.boxes[kept].reset_index(drop=True)
        lost = self.boxes["row"].nunique() - boxes["row"].nunique()
        return UsedBoxes(boxes, self.left_out | ({reason: lost} if lost else {}), self.rows)

    def __str__(self) -> str:
        said = "".join(f"; {count} left out: {reason}" for reason, count in self.left_out.items())
        return f"{self.boxes['row'].nunique()} of {self.rows} rows of boxes are used{said}"


class _Original(NamedTuple):
    """The size of the original image, on which the boxes were drawn.

    Attributes:
        width, height: in pixels.
        table: the file that states the size (it may be wrong); None: the size is the same for all images (NIH) or from
            the DICOM file.
    """

    width: float
    height: float
    table: Path | None = None

    @property
    def by(self) -> str:
        """The source of the size, as it follows the size in a message."""
        return "" if self.table is None else f" (by {self.table})"


def boxes_of(
    files: BoxFiles, selected: pd.DataFrame, images: Path, names: Sequence[str], findings: Sequence[str]
) -> UsedBoxes:
    """The boxes of some images and findings.

    Args:
        selected: image, path (in the folder `images`) of these images, possibly also of others.
        names: names of the images.

    Raises:
        InputError: no box belongs to one of the images or findings, an original's size is unknown, boxes are at another
            scale or outside the image, or a copy is of another shape or not upright.
    """
    matched = matched_boxes(files, names)
    return of_findings(files, at_scale(files, matched, selected, images), findings)


def matched_boxes(files: BoxFiles, names: Sequence[str]) -> UsedBoxes:
    """The boxes whose image name is one of `names`; no image is opened.

    Raises:
        InputError: see `boxes_of`.
    """
    path, listed = files.boxes, read_boxes(files.boxes)
    if listed.boxes.empty:
        raise InputError(f"{path}: has no box, only rows that state that nothing was found; give a table with boxes")
    normal = listed.rows - len(listed.boxes)
    all_boxes = UsedBoxes(listed.boxes, {"states that nothing was found": normal} if normal else {}, listed.rows)
    known = table_names(path, listed.boxes["image"], names)
    used = all_boxes.only(known != "", f"not of {files.words.image}")
    if used.boxes.empty:
        raise InputError(
            f"{path}: no box is of {files.words.image} (the first box: '{listed.boxes['image'].iloc[0]}', the first "
            f"image: '{names[0]}'); give the boxes of these images"
        )
    return UsedBoxes(used.boxes.assign(image=known[known != ""]), used.left_out, used.rows)


def table_names(path: Path, listed: Iterable[str], names: Sequence[str]) -> np.ndarray:
    """For each name that a table lists, the label table's name of that image, or "".

    A whole name goes first. Otherwise names match that differ in the suffix: one of them has none, both state the same
    format, or one is the DICOM original of a copy in another format.

    Raises:
        InputError: a listed name fits several images.
    """
    exact, by_stem = set(names), dict[str, list[str]]()
    for name in names:
        by_stem.setdefault(SUFFIX.sub("", name), []).append(name)
    codes, different = pd.factorize(pd.Series(list(listed), dtype="str"))
    found = []
    for name in different:
        stated = _format(name)
        fits = [name] if name in exact else [
            other for other in by_stem.get(SUFFIX.sub("", name), ())
            if stated in ("", ORIGINAL) or _format(other) in ("", stated, ORIGINAL)
        ]  # fmt: skip
        if len(fits) > 1:
            raise InputError(f"{path}: '{name}' fits several images, {some_of(fits)}; write the suffix")
        found.append(fits[0] if fits else "")
    return np.array([*found, ""], dtype=object)[codes]


def _format(name: str) -> str:
    """The format that a suffix states, packed or not."""
    return format_of_name(next((name[: -len(end)] for end in PACKED if name.lower().endswith(end)), name))


def of_findings(files: BoxFiles, used: UsedBoxes, findings: Sequence[str]) -> UsedBoxes:
    """The boxes of the given findings. If there is a class table, it maps the boxes' labels to findings first.

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
            f"{files.boxes}: no box of {words.image} shows {words.finding} ({some_of(findings)}), only {others}; write "
            f"the names alike, or merge them by {words.class_table}"
        )
    named = boxes.assign(finding=boxes["merged"]).drop(columns="merged")
    return UsedBoxes(named, used.left_out, used.rows).only(known, f"not of {words.finding}, but of {others}")


def at_scale(files: BoxFiles, used: UsedBoxes, selected: pd.DataFrame, images: Path) -> UsedBoxes:
    """Add the originals' sizes to the boxes, and check that the boxes fit them. The header of each image is read.

    Boxes of an image are left out if it states no size and cannot be decoded.

    Raises:
        InputError: see `boxes_of`.
    """
    path, boxes = files.boxes, used.boxes
    stated = None if files.sizes is None else _sizes(files.sizes, selected["image"].tolist())
    place = dict(zip(selected["image"], selected["path"], strict=True))
    sized = path if set(SIZE) <= set(read_header(path)) else None
    frames, chance, most = np.empty((len(boxes), 2)), 1.0, (0, 0)
    readable = np.ones(len(boxes), bool)
    groups = boxes.groupby("image", sort=False)
    for image, part in progress(groups, total=groups.ngroups, what="look at images with boxes"):
        file = images / place[str(image)]
        width, height = header_size(file)
        if width is None and not _can_be_read(file):
            readable[part.index] = False
            continue
        original = _original(files, stated, sized, part, file, width, height)
        frames[part.index] = original.width, original.height
        _check_within(path, part, original)
        if width is not None and height is not None:
            _check_shape(path, file, (width, height), original)
            _check_upright(path, file)
            # A pixel more, by rounding
            inside = (part["x"] + part["w"] <= width + 1) & (part["y"] + part["h"] <= height + 1)
            if width <= CLEARLY_SMALLER * original[0]:
                # Once per image, because its boxes are not independent: several readers may mark the same lesion
                chance *= (width / original[0]) ** 3 if inside.all() else np.inf
                most = max(most, (width, height))
    used = used.only(readable, "of an image that cannot be read")
    if used.boxes.empty:
        raise InputError(f"{path}: no image with a box can be read; give the images that the boxes belong to")
    boxes, frames = used.boxes, frames[readable]
    if chance < CHANCE:
        raise InputError(
            f"{path}: all boxes lie within the {most[0]} x {most[1]} px that the copies of the images have, so they "
            "seem to be in pixels of the copies; boxes must be in pixels of the originals"
        )
    corners = boxes[["x", "y"]].to_numpy() + boxes[["w", "h"]].to_numpy()
    for most_of_all, unit in UNITS:
        if corners.max() <= most_of_all and frames.min() >= LARGE:
            raise InputError(
                f"{path}: no coordinate is above {most_of_all:g}, so the boxes seem to be in {unit}; boxes must be in "
                "pixels of the originals"
            )
    _warn_if_small(path, boxes["image"].to_numpy(), (corners / frames).max(axis=1))
    return UsedBoxes(boxes.assign(width=frames[:, 0], height=frames[:, 1]), used.left_out, used.rows)


def _can_be_read(file: Path) -> bool:
    try:
        decode(file)
    except UnreadableImage:
        return False
    return True


def _warn_if_small(path: Path, images: np.ndarray, reach: np.ndarray) -> None:
    """Warn if the boxes may be in pixels of smaller copies: nearly all lie in the upper left of their images.

    Boxes of a single finding may do so rightly; then the warning does not matter.

    Args:
        images: [n], the image of each box.
        reach: [n], the larger of the box's right end by the image's width and its lower end by the height.
    """
    farthest = pd.Series(reach).groupby(images).max()
    share = float(farthest.quantile(1 - OUTLIERS))
    if share <= SMALL and share ** len(farthest) < CHANCE:
        log.warning(
            "%s: nearly all boxes lie within the upper left %.0f %% of their images (%d): if they are in pixels of "
            "smaller copies, scale them to the originals", path, 100 * share, len(farthest),
        )  # fmt: skip


def _sizes(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """The originals' sizes by the label table's names of the images, see `read_box_sizes`.

    Raises:
        InputError: the file is not such a table, or states the size of an image twice.
    """
    sizes = read_box_sizes(path)
    known = table_names(path, sizes.index, names)
    twice = pd.Series(known, sizes.index)[known != ""]
    twice = twice[twice.duplicated(keep=False)]
    if len(twice):
        one, other = twice.index[twice == twice.iloc[0]][:2]
        raise InputError(f"{path}: '{one}' and '{other}' state sizes of one image, '{twice.iloc[0]}'; keep one row")
    return sizes[known != ""].set_axis(known[known != ""])


def _original(
    files: BoxFiles,
    stated: pd.DataFrame | None,
    sized: Path | None,
    boxes: pd.DataFrame,
    file: Path,
    width: int | None,
    height: int | None,
) -> _Original:
    """The original's size for the boxes of one image.

    Args:
        stated: as from `_sizes`; it has priority.
        sized: the table of boxes, if it states sizes itself.
        width, height: of the available file.
    """
    first = boxes.iloc[0]
    if stated is not None and (name := first["image"]) in stated.index:
        return _Original(float(stated["width"][name]), float(stated["height"][name]), files.sizes)
    if (own := _own_size(files.boxes, boxes)) is not None:
        return _Original(*own, sized)
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


def _own_size(path: Path, boxes: pd.DataFrame) -> tuple[float, float] | None:
    """Width and height of the original as the rows of one image state them; None if they do not.

    Raises:
        InputError: they state two sizes, or one without a pixel.
    """
    known = boxes[np.isfinite(boxes[SIZE].to_numpy(np.float64)).all(axis=1).tolist()]
    stated = known[~known[SIZE].duplicated().to_numpy(bool)]
    if stated.empty:
        return None
    first, last = stated.iloc[0], stated.iloc[-1]
    width, height = float(first["width"]), float(first["height"])
    size = f"states {last['width']:.0f} x {last['height']:.0f} px as the size of '{last['image']}'"
    if len(stated) > 1:
        raise InputError(
            f"{path}: row {last['row']}: {size} beside {width:.0f} x {height:.0f} in row {first['row']}; keep the "
            "right one"
        )
    if min(width, height) < 1:
        raise InputError(f"{path}: row {first['row']}: {size}; give the size of the original in pixels")
    return width, height


def _is_dicom(file: Path) -> bool:
    with file.open("rb") as handle:
        return format_of(handle.read(START)) == "DICOM"


def _check_within(path: Path, boxes: pd.DataFrame, original: _Original) -> None:
    """Raise an InputError if a box exceeds its image by more than a pixel (corners are rounded)."""
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
    """Raise an InputError if the copy's aspect ratio differs from the original's by more than a pixel of rounding."""
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
    """Raise an InputError if an image is displayed differently from how its pixels are stored, for example rotated. It
    is then unknown in which of the two forms the boxes were drawn."""
    why = why_not_as_stored(file)
    if why:
        raise InputError(
            f"{path}: {file} {why}, so boxes may not fit it; give the picture that they were drawn on, upright and "
            "with square pixels"
        )
