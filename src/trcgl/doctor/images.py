"""Check the image folder, the label table, and whether they belong together. A folder is listed only once."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.config import Params
from trcgl.doctor.said import Said, problem, warning
from trcgl.images.decode import UnreadableImage, decode
from trcgl.images.listing import Listing, counted
from trcgl.images.manifest import check_inside, named_images, no_image
from trcgl.labels.adapters import read_table
from trcgl.labels.build import Labels, build_labels
from trcgl.labels.file_match import likely_file
from trcgl.labels.selection import by_reason
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_parquet
from trcgl.runtime.settings import read_yaml
from trcgl.runtime.unexpanded import why_missing

DECODED = 8
"""Full-size radiographs take a tenth of a second each."""
SIZES = 2000
"""Files whose size is asked for: on network disks that takes a good part of a millisecond each."""
MISSING_SHARE = 0.01
"""PadChest itself lacks some of its files; a download that broke off lacks more."""
UNUSABLE_SHARE = 0.1
"""Of the rows of a label table; of PadChest's and NIH's, less than a hundredth cannot be used."""
SELECTED_BY = r"projection not|labelling method not|labelled |image file"
"""Starts of the reasons for which rows are left out by the params file or for their files, see labels/selection.py."""
MANIFEST = Path("data/manifest.parquet")


def image_folder(folder: Path) -> Listing | Said:
    """The listing of the folder, or the reason why it has no image."""
    if not folder.is_dir():
        return problem(
            "dataset.images",
            f"'{folder}' is not a folder{why_missing(folder)}; set it to the folder that holds the images",
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        return problem("dataset.images", f"'{folder}' may not be read by this user; change its permissions")
    listing = named_images(folder)
    return listing if listing.images else problem("dataset.images", f"'{folder}' has no image; {no_image(listing)}")


def check_listing(folder: Path, listing: Listing) -> Iterator[Said]:
    """The number of images, and the other files in the folder."""
    skipped = "".join(f"; skipped {line}" for line in counted(listing.skipped))
    yield Said("dataset", f"{len(listing.images)} image files under {folder}{skipped}")
    for line in counted(listing.closed):
        yield problem("dataset.images", f"left out {line}")


def build_as_the_stage(params: Params, names: Sequence[str]) -> Labels | Said:
    """The result that `parse_labels` will have for the table and these files, or why it will stop."""
    try:
        table = read_table(params.dataset.name, params.dataset.labels)
        return build_labels(table, pd.DataFrame({"path": list(names)}), params.labels, params.dataset.split_file)
    except InputError as error:
        return problem("dataset.labels", error)


def check_labels(labels: Labels, names: Sequence[str] = ()) -> Iterator[Said]:
    """The classes and groups that result from the table, and its images that are not on the disk.

    Args:
        names: the image files.
    """
    groups = pd.Series([entry["group"] for entry in labels.classes["classes"]]).value_counts()
    counted = ", ".join(f"{groups.get(name, 0)} {name}" for name in ("head", "medium", "tail"))
    yield Said("labels", f"{len(labels.selected)} images, {len(labels.classes['classes'])} findings ({counted})")
    yield from _check_left_out(labels)
    missing = int(labels.rejected["reason"].isin(["image file missing", "image file is ambiguous"]).sum())
    wanted = len(labels.selected) + missing
    text = f"{missing} of {wanted} images of the label table are not in the image folder, or not uniquely"
    if missing > MISSING_SHARE * wanted:
        images = labels.rejected.loc[labels.rejected["reason"].str.startswith("image file"), "image"]
        remedy = likely_file(images, pd.Series(list(names), dtype="str")) or "complete the folder"
        yield problem("images", f"{text}; the first: {images.iloc[0]}; {remedy}")
    else:
        yield Said("images", text)


def _check_left_out(labels: Labels) -> Iterator[Said]:
    """Rows that are not used, whatever the reason; a warning if many cannot be read, so that the user looks at them."""
    rejected, rows = labels.rejected, len(labels.labels) + len(labels.rejected)
    if not len(rejected):
        return
    text = f"{len(rejected)} of {rows} rows of the label table are left out ({by_reason(rejected['reason'])})"
    unusable = int((~rejected["reason"].str.match(SELECTED_BY)).sum())
    many = unusable > UNUSABLE_SHARE * rows
    yield warning("rows", f"{text}; correct them if they should be used") if many else Said("rows", text)


def check_sample(folder: Path, paths: Sequence[str]) -> Said:
    """Whether a few images, evenly spread over the table, can be decoded."""
    places = np.unique(np.linspace(0, len(paths) - 1, DECODED).round().astype(int))
    chosen = [paths[int(place)] for place in places]
    reasons = []
    for path in chosen:
        try:
            check_inside(path)
            decode(folder / path)
        except UnreadableImage as error:
            reasons.append(f"{path}: {error}")
    if reasons:
        return problem("images", f"{len(reasons)} of {len(chosen)} tried cannot be decoded; the first: {reasons[0]}")
    return Said("images", f"{len(chosen)} of {len(chosen)} tried can be decoded")


def check_manifest(params: Params, names: Sequence[str]) -> Said:
    """Whether the folder has changed since `scan_images` listed it; DVC does not track it."""
    if not MANIFEST.exists():
        return Said("manifest", "none yet; scan_images makes it")
    if _recorded_dataset() != (params.dataset.images, params.dataset.revision):
        return Said("manifest", "dataset.images or dataset.revision changed; scan_images will run again")
    try:
        manifest = read_parquet(MANIFEST, ["path", "bytes"], only=True)
    except InputError as error:
        return problem("manifest", error)
    now = set(names)
    known = set(manifest["path"])
    both = manifest[manifest["path"].isin(now)]
    tried = both.iloc[np.unique(np.linspace(0, len(both) - 1, min(SIZES, len(both))).round().astype(int))]
    folder = Path(params.dataset.images)
    changed = sum(_bytes(folder / path) != size for path, size in zip(tried["path"], tried["bytes"], strict=True))
    added, gone = len(now - known), len(known - now)
    if added or gone or changed:
        return problem(
            "manifest", f"since scan_images {added} images came, {gone} went, {changed} of {len(tried)} tried have "
            "another size; raise dataset.revision, and run dvc repro",
        )  # fmt: skip
    return Said("manifest", f"the image folder is as scan_images saw it (names, and sizes of {len(tried)})")


def _bytes(file: Path) -> int:
    """Size of a file as scan_images notes it: 0 for a dangling link or a file of another user."""
    try:
        return file.stat().st_size if os.access(file, os.R_OK) else 0
    except OSError:
        return 0


def _recorded_dataset() -> tuple[object, object] | None:
    """Image folder and revision at the last run of scan_images."""
    try:
        lock = read_yaml("dvc.lock")
        values = lock["stages"]["scan_images"]["params"]["params.yaml"]
        return values["dataset.images"], values["dataset.revision"]
    except (InputError, KeyError, TypeError):
        return None
