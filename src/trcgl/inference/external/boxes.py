"""Boxes of an external test set brought to the images that were scored, and to their scale.

Boxes are in pixels of the original image; the files at hand may be smaller copies of it. A box is drawn in the frame of
the original and then resized as the picture is, so only that frame must be known: NIH's is 1024 px, VinDr's is in the
DICOM header, or in a table where the files are copies in another format.
"""

from collections.abc import Sequence
from pathlib import Path

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
from trcgl.runtime.logging import get_logger

log = get_logger("evaluate")

CLEARLY_SMALLER = 0.8
"""Share of the original's side from which on down it would show that boxes are in pixels of the copy."""
CHANCE = 1e-3
"""Of that all boxes lie by chance in the corner that a copy would take. One does with at most the cube of the copy's
share of the side: measured on NIH's 984 boxes, 0.09 in the corner of half the side, 0.39 in that of three quarters."""


def boxes_of(
    path: Path,
    sizes: Path | None,
    class_table: Path | None,
    selected: pd.DataFrame,
    images: Path,
    names: Sequence[str],
    findings: Sequence[str],
) -> pd.DataFrame:
    """The boxes of the scored images and of the model's findings.

    Args:
        path: NIH's or VinDr's table.
        sizes: table of the originals' sizes; None: boxes and DICOM headers state them.
        class_table: merges labels into the model's findings; None: labels as they are.
        selected: image, path (in the folder `images`) of the scored images and maybe of others.
        names: of the images that are scored.
        findings: of the model.

    Returns:
        As `read_boxes`, with the names of the label table and every width and height.

    Raises:
        InputError: no box is of a scored image or of the model's findings, an original's size is unknown, or boxes are
            at another scale.
    """
    listed = read_boxes(path)
    if listed.empty:
        raise InputError(f"{path}: has no box, only rows that state that nothing was found; give a table with boxes")
    boxes = _named(listed, names)
    if boxes.empty:
        raise InputError(
            f"{path}: none of its boxes is of an image that is scored (its first: '{listed['image'].iloc[0]}', the "
            f"label table's: '{names[0]}'); give the boxes of these images"
        )
    log.info("%d of %d boxes are of scored images", len(boxes), len(listed))
    if class_table is not None:
        pairs = read_class_table(class_table).rename(columns={"label": "finding"})
        boxes = boxes.merge(pairs, on="finding").drop(columns="finding").rename(columns={"class": "finding"})
    place = dict(zip(selected["image"], selected["path"], strict=True))
    files = {name: images / place[name] for name in set(boxes["image"])}
    return _of_findings(path, _at_scale(path, sizes, boxes, files), findings)


def _of_findings(path: Path, boxes: pd.DataFrame, findings: Sequence[str]) -> pd.DataFrame:
    """Those of the model's findings; the names of the others are said."""
    known = boxes["finding"].isin(findings)
    others = ", ".join(f"'{name}'" for name in boxes["finding"][~known].unique())
    if not known.any():
        raise InputError(
            f"{path}: no box of a scored image is of a finding of the model ({_first(findings)}), only of "
            f"{others or 'none of the class table'}; names must match exactly, or be merged by --class-table"
        )
    if others:
        log.info("%d of %d boxes are of findings of the model; others are of %s", known.sum(), len(boxes), others)
    return boxes[known].reset_index(drop=True)


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def _named(boxes: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Those of the images, by the label table's names; a name without suffix is that of an image of any format."""
    exact = set(names)
    by_stem = {SUFFIX.sub("", name): name for name in names}
    known = [name if name in exact else by_stem.get(name, "") for name in boxes["image"]]
    return boxes.assign(image=known)[np.array(known, dtype=object) != ""].reset_index(drop=True)


def _at_scale(path: Path, sizes: Path | None, boxes: pd.DataFrame, files: dict[str, Path]) -> pd.DataFrame:
    """Boxes with the originals' sizes, if they can be at that scale.

    Args:
        files: image -> its file.
    """
    stated = None if sizes is None else read_box_sizes(sizes)
    frames, chance, most = np.empty((len(boxes), 2)), 1.0, (0, 0)
    for image, part in boxes.groupby("image", sort=False):
        file = files[str(image)]
        width, height = header_size(file)
        original = _original(path, stated, part, file, width, height)
        frames[part.index] = original
        _check_within(path, part, original)
        if width is not None and height is not None:
            _check_shape(path, file, (width, height), original)
            _check_upright(path, file)
            inside = (part["x"] + part["w"] <= width) & (part["y"] + part["h"] <= height)
            if width <= CLEARLY_SMALLER * original[0]:
                chance *= (width / original[0]) ** (3 * len(part)) if inside.all() else np.inf
                most = max(most, (width, height))
    if chance < CHANCE:
        raise InputError(
            f"{path}: all boxes lie within the {most[0]} x {most[1]} px that the copies of the images have, so they "
            "seem to be in pixels of the copies; boxes must be in pixels of the originals"
        )
    return boxes.assign(width=frames[:, 0], height=frames[:, 1])


def _original(
    path: Path, stated: pd.DataFrame | None, boxes: pd.DataFrame, file: Path, width: int | None, height: int | None
) -> tuple[float, float]:
    """Width and height of the image that the boxes of one image were drawn in.

    Args:
        stated: as `read_box_sizes`; it has the last word.
        width, height: of the file at hand.
    """
    first = boxes.iloc[0]
    if stated is not None and (name := SUFFIX.sub("", first["image"])) in stated.index:
        return float(stated["width"][name]), float(stated["height"][name])
    if np.isfinite(first[SIZE].to_numpy(np.float64)).all():
        return float(first["width"]), float(first["height"])
    if width is not None and height is not None and _is_dicom(file):
        return float(width), float(height)
    raise InputError(
        f"{path}: row {first['row']}: boxes are in pixels of the original image, whose size {file} does not state (it "
        "is not DICOM)"
        + (
            "; give a table with image_id, width and height of the originals with --box-sizes"
            if stated is None
            else f", nor does the table of sizes, which has no row for '{first['image']}'; add it"
        )
    )


def _is_dicom(file: Path) -> bool:
    with file.open("rb") as handle:
        return format_of(handle.read(START)) == "DICOM"


def _check_within(path: Path, boxes: pd.DataFrame, original: tuple[float, float]) -> None:
    """Stop on a box of an image that reaches out of it by more than a pixel, for corners are rounded."""
    right, bottom = boxes["x"] + boxes["w"], boxes["y"] + boxes["h"]
    beyond = (boxes["x"] < -1) | (boxes["y"] < -1) | (right > original[0] + 1) | (bottom > original[1] + 1)
    if beyond.any():
        place = int(np.argmax(beyond))
        row = boxes.iloc[place]
        raise InputError(
            f"{path}: row {row['row']}: the box of '{row['image']}' goes from {row['x']:.0f}, {row['y']:.0f} to "
            f"{right.iloc[place]:.0f}, {bottom.iloc[place]:.0f}, out of the original image of {original[0]:.0f} x "
            f"{original[1]:.0f} px; boxes are in pixels of the original"
        )


def _check_shape(path: Path, file: Path, copy: tuple[int, int], original: tuple[float, float]) -> None:
    """Stop on a copy of another shape than the original, beyond the rounding of a pixel."""
    scale = max(copy[0] / original[0], copy[1] / original[1])
    if abs(original[0] * scale - copy[0]) > 1 or abs(original[1] * scale - copy[1]) > 1:
        raise InputError(
            f"{path}: {file} has {copy[0]} x {copy[1]} px and its original {original[0]:.0f} x {original[1]:.0f}: a "
            "copy that was padded, cut or stretched, in which the place of a box is unknown; give copies of the same "
            "shape"
        )


def _check_upright(path: Path, file: Path) -> None:
    """Stop on a picture that is shown otherwise than its pixels are stored: boxes may have been drawn in either."""
    why = why_not_as_stored(file)
    if why:
        raise InputError(
            f"{path}: {file} {why}, and whether boxes were drawn before or after that is unknown; save it upright, "
            "with square pixels"
        )
