"""Tables of boxes, and of the sizes of the images that they were drawn in, that do not fit their images."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from tests.input_cases.case import BOXES, READ_BOXES, Case, Spoil
from tests.input_cases.spoiling import both, delete, params, put
from tests.pixel_cells.cell import exif, film
from tests.pixel_cells.dicom_files import dicom

GROUP = "Boxes"
FIRST, SECOND = "00000000_000", "00000001_000"
TO_SAY = "give a table with image_id, width and height of the originals with --box-sizes"
WITH_SIZES = "image_id,class_name,rad_id,x_min,y_min,x_max,y_max,width,height"
NOT_A_SIZE = "is not two whole numbers above 0"


def nih(*rows: str, header: str = "Image Index,Finding Label,Bbox [x,y,w,h],,,") -> Spoil:
    return put("boxes.csv", "\n".join([header, *rows, ""]))


def vindr(*rows: str, header: str = "image_id,class_name,rad_id,x_min,y_min,x_max,y_max") -> Spoil:
    return put("boxes.csv", "\n".join([header, *rows, ""]))


def sizes(*rows: str, header: str = "image_id,width,height") -> Spoil:
    """With boxes that need them."""
    return both(vindr(f"{FIRST},Mass,R1,10,10,20,30"), put("sizes.csv", "\n".join([header, *rows, ""])))


def copy(width: int, height: int, *boxes: Spoil) -> Spoil:
    """The first image in another size."""

    def spoil(folder: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (height, width)).astype(np.uint8)
        Image.fromarray(noise).save(folder / f"images/{FIRST}.png")
        both(*boxes)(folder)

    return spoil


def _dicom(folder: Path, **tags: Any) -> None:
    """The first image as DICOM."""
    (folder / f"images/{FIRST}.png").write_bytes(dicom(film(4095).astype(np.uint16), BitsStored=12, **tags))


def _oblong(folder: Path) -> None:
    _dicom(folder, PixelSpacing=[0.1, 0.2])


def _turned(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8)
    Image.fromarray(noise).save(folder / f"images/{FIRST}.png", exif=exif(6))


def _box(what: str, spoil: Spoil, seen: str) -> Case:
    return Case(GROUP, what, BOXES, spoil, seen)


NIH_BOX = "boxes.csv: row 2: the box of '00000001_000.png' is not four numbers x, y, w, h with w and h above 0"
VINDR_BOX = (
    "boxes.csv: row 2: the box of '00000001_000' is not four numbers with x_min below x_max and y_min below y_max"
)
BESIDE = f"{FIRST}.png,Mass,0,0,900,900"

BOX_TABLES = (
    # The table
    _box("no file", both(), "boxes.csv: cannot be read (No such file or directory); ..."),
    _box(
        "NIH: a column missing", nih(BESIDE, header="Image Index,Label,Bbox [x,y,w,h]"),
        "boxes.csv: column 'Finding Label' is missing; NIH's list of boxes is comma-separated and has the columns ...",
    ),
    _box(
        "a table of labels", put("boxes.csv", "image_id,Mass\na,1\n"),
        "boxes.csv: has none of the columns of a table of boxes; name them image_id, class_name, x_min, y_min, x_max, y_max "
        "(as VinDr-CXR does: corners in pixels of the original), or ...",
    ),
    *(
        _box(
            f"own columns: {header}", nih(BESIDE, header=header), "boxes.csv: has none of the columns of a table of boxes; ..."
        )
        for header in ("image,finding,x,y,w,h", "image,label,xmin,ymin,xmax,ymax")
    ),
    _box(
        "VinDr: a column missing", vindr("a,Mass,R1,0,0,9", header="image_id,class_name,rad_id,x_min,y_min,x_max"),
        "boxes.csv: column 'y_max' is missing; VinDr-CXR's table of boxes is comma-separated and has the columns ...",
    ),
    _box("a header only", nih(), "boxes.csv: has a header but no rows; expected NIH's list of boxes"),
    _box(
        "VinDr: rows without a finding only", vindr(f"{FIRST},No finding,R1,,,,"),
        "boxes.csv: has no box, only rows that state that nothing was found; give a table with boxes",
    ),
    # A box
    *(
        _box(f"NIH: {what}", nih(BESIDE, f"{SECOND}.png,Mass,{box}"), NIH_BOX)
        for what, box in (
            ("a box with text", "1,2,wide,4"), ("a box with an empty number", "1,2,,4"), ("a box without width", "1,2,0,4"),
            ("a box of negative height", "1,2,3,-4"), ("a box that is not finite", "1,2,inf,4"),
            ("a box with a decimal comma", '1,2,"3,5",4'),
        )
    ),
    *(
        _box(f"VinDr: {what}", vindr(f"{FIRST},Mass,R1,0,0,9,9", f"{SECOND},Mass,R1,{box}"), VINDR_BOX)
        for what, box in (
            ("corners with text", "1,2,right,4"), ("corners that are empty", ",,,"), ("corners in another order", "9,2,3,4"),
            ("a box of no height", "1,4,3,4"), ("a corner that is not finite", "1,2,nan,4"),
        )
    ),
    # What it is of
    _box(
        "of other images", nih("x.png,Mass,0,0,900,900"),
        f"boxes.csv: no box is of a scored image (the first box: 'x.png', the first image: '{FIRST}.png'); give the boxes of "
        "these images",
    ),
    _box(
        "of other findings", nih(f"{FIRST}.png,mass,0,0,900,900"),
        "boxes.csv: no box of a scored image shows a finding of the model (Mass, Nodule), only 'mass'; write the names alike, or "
        "merge them by --class-table",
    ),
    # The scale
    _box(
        "in pixels of smaller copies", nih(f"{FIRST}.png,Mass,0,0,30,30", f"{SECOND}.png,Mass,0,0,30,30"),
        "boxes.csv: all boxes lie within the 40 x 40 px that the copies of the images have, so they seem to be in pixels of "
        "the copies; boxes must be in pixels of the originals",
    ),
    _box(
        "out of the original, to the right", nih(f"{FIRST}.png,Mass,900,0,200,9"),
        f"boxes.csv: row 1: the box of '{FIRST}.png' goes from 900, 0 to 1100, 9, out of the original image of 1024 x 1024 px; "
        "boxes are in pixels of the original",
    ),
    _box(
        "out of the original, below", nih(BESIDE, f"{FIRST}.png,Mass,0,1000,9,100"),
        f"boxes.csv: row 2: the box of '{FIRST}.png' goes from 0, 1000 to 9, 1100, out of ...",
    ),
    _box(
        "out of the original, to the left", nih(f"{FIRST}.png,Mass,-5,0,9,9"),
        f"boxes.csv: row 1: the box of '{FIRST}.png' goes from -5, 0 to 4, 9, out of ...",
    ),
    _box(
        "of a copy that was cut or padded", copy(40, 50, nih(BESIDE)),
        f"boxes.csv: images/{FIRST}.png has 40 x 50 px and its original 1024 x 1024: the copy was padded, cut or stretched; give "
        "copies of the same shape",
    ),
    _box(
        "VinDr: out of the DICOM file", both(_dicom, vindr(f"{FIRST},Mass,R1,0,0,40,53")),
        f"boxes.csv: row 1: the box of '{FIRST}.png' goes from 0, 0 to 40, 53, out of the original image of ... px; boxes are in "
        "pixels of the original",
    ),
    _box(
        "of a copy that its orientation tag turns", both(_turned, nih(BESIDE)),
        f"boxes.csv: images/{FIRST}.png is turned or mirrored by its orientation tag, so boxes may not fit it; give the picture "
        "that they were drawn on, upright and with square pixels",
    ),
    _box(
        "VinDr: of a DICOM file with oblong pixels", both(_oblong, vindr(f"{FIRST},Mass,R1,0,0,9,9")),
        f"boxes.csv: images/{FIRST}.png has pixels that are not square, so boxes may not fit it; ...",
    ),
    # Sizes of originals
    _box(
        "VinDr: copies in another format, without sizes", vindr(f"{FIRST},Mass,R1,0,0,9,9"),
        f"boxes.csv: row 1: boxes are in pixels of the original image, whose size images/{FIRST}.png does not state (it is not "
        f"DICOM); {TO_SAY}",
    ),
    _box(
        "sizes of other images", sizes("x,40,40"),
        f"boxes.csv: row 1: boxes are in pixels of the original image, whose size images/{FIRST}.png does not state (it is not "
        f"DICOM), nor does the table of sizes, which has no row for '{FIRST}.png'; add it",
    ),
    _box(
        "sizes without a column of images", sizes("a,40,40", header="image,width,height"),
        "sizes.csv: column 'image_id' is missing; a table of the originals' sizes is comma-separated and has ...",
    ),
    _box(
        "sizes without columns of sizes", sizes(f"{FIRST},40,40", header="image_id,w,h"),
        "sizes.csv: states no size; fill exactly one pair of columns: width and height, or dim0 (rows) and dim1",
    ),
    _box(
        "sizes in both ways", sizes(f"{FIRST},40,40,40,40", header="image_id,width,height,dim0,dim1"),
        "sizes.csv: states sizes in two ways; fill exactly one pair of columns: width and height, or dim0 (rows) and dim1",
    ),
    *(
        _box(f"a size {what}", sizes(f"{FIRST},40,{size}"), f"sizes.csv: row 1: the size of '{FIRST}' {NOT_A_SIZE}")
        for what, size in (
            ("that is text", "tall"), ("that is empty", ""), ("of 0", "0"), ("below 0", "-40"), ("with a fraction", "40.5"),
            ("that is not finite", "inf"),
        )
    ),
    _box(
        "an image with two sizes", sizes(f"{FIRST},40,40", f"{FIRST}.png,40,50"),
        f"sizes.csv: '{FIRST}' and '{FIRST}.png' state sizes of one image, '{FIRST}.png'; keep one row",
    ),
    _box(
        "a size of another shape than the image's", sizes(f"{FIRST},40,80"),
        f"boxes.csv: images/{FIRST}.png has 40 x 40 px and its original 40 x 80 (by sizes.csv): the copy was padded, cut or "
        "stretched, or this size is wrong; give copies of the same shape, or correct the size",
    ),
    _box(
        "VinDr: a size in the table itself, of another shape than the image's",
        vindr(f"{FIRST},Mass,R1,10,10,20,30,40,80", header=WITH_SIZES),
        f"boxes.csv: images/{FIRST}.png has 40 x 40 px and its original 40 x 80 (by boxes.csv): ...",
    ),
    _box(
        "VinDr: two sizes of one image in the table itself",
        vindr(f"{FIRST},Mass,R1,10,10,20,30,40,40", f"{FIRST},Nodule,R1,1,1,2,3,20,20", header=WITH_SIZES),
        f"boxes.csv: row 2: states 20 x 20 px as the size of '{FIRST}.png' beside 40 x 40 in row 1; keep the right one",
    ),
    _box(
        "VinDr: a size of nothing in the table itself",
        vindr(f"{FIRST},Mass,R1,0,0,1,1,0,0", header=WITH_SIZES),
        f"boxes.csv: row 1: states 0 x 0 px as the size of '{FIRST}.png'; give the size of the original in pixels",
    ),
    _box(
        "a size with rows and columns exchanged",
        both(vindr(f"{FIRST},Mass,R1,10,10,20,60"), put("sizes.csv", f"image_id,dim0,dim1\n{FIRST},40,80\n")),
        f"boxes.csv: row 1: the box of '{FIRST}.png' goes from 10, 10 to 20, 60, out of the original image of 80 x 40 px (by "
        "sizes.csv); boxes are in pixels of the original",
    ),
)  # fmt: skip

BY_THE_STAGE = (
    ("--box-sizes", "'dataset.box_sizes'"),
    ("--class-table", "'labels.class_table'"),
    ("a scored image", "a readable image of the data set"),
    ("a finding of the model", "a finding of the data set's classes"),
)
"""What `trcgl evaluate` calls things, and what read_boxes does; they refuse the same tables."""


def for_the_stage(case: Case) -> Case:
    """The same tables in a data set that names them."""
    seen = case.seen
    for words, other in BY_THE_STAGE:
        seen = seen.replace(words, other)

    def spoil(folder: Path) -> None:
        case.spoil(folder)
        sizes = "sizes.csv" if (folder / "sizes.csv").exists() else None
        params(dataset__boxes="boxes.csv", dataset__box_sizes=sizes)(folder)

    return Case("Boxes of the data set", case.what, READ_BOXES, spoil, seen)


def _own(what: str, spoil: Spoil, seen: str) -> Case:
    return for_the_stage(Case("", what, BOXES, spoil, seen))


DATA_SET_BOXES = (
    *(for_the_stage(case) for case in BOX_TABLES if any(words in case.seen for words, _ in BY_THE_STAGE)),
    _own("no file", both(), "boxes.csv: cannot be read (No such file or directory); ..."),
    _own("a box out of the original", nih(f"{FIRST}.png,Mass,900,0,200,9"), "boxes.csv: row 1: the box of ..."),
    _own(
        "of findings that the label table calls absent only", nih(f"{FIRST}.png,Nodule,300,300,400,400"),
        "boxes.csv: no box is left: 0 of 1 rows of boxes are used; 1 left out: the label table says that the finding is "
        "absent; give the boxes that this label table goes with",
    ),
    _own(
        "of an image that cannot be read only",
        both(
            nih("00000002_000.png,Mass,300,300,400,400"),
            lambda folder: pd.DataFrame({"path": ["00000002_000.png"], "reason": ["empty file"]}).to_parquet(
                folder / "data/images/unreadable.parquet"
            ),
        ),
        "boxes.csv: no box is of a readable image of the data set (the first box: '00000002_000.png', ...",
    ),
    _own(
        "of an image that is gone", both(nih(BESIDE), delete(f"images/{FIRST}.png")),
        f"images/{FIRST}.png: ...",
    ),
)  # fmt: skip
