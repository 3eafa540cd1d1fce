"""Boxes of external sets against an independent reading of their tables: which image, which scale, which place."""

import csv
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image

from tests.pixel_cells.cell import exif, film
from tests.pixel_cells.dicom_files import dicom
from tests.pixel_cells.tiff_files import SHORT, Tiff, tiff
from trcgl.artifacts.places import FRAME
from trcgl.cli import main
from trcgl.images.upright import why_not_as_stored
from trcgl.inference.external.external_set import WORDS
from trcgl.places.boxes import BoxFiles, boxes_of, table_names
from trcgl.places.masks import agreed_mask, in_frame
from trcgl.runtime.errors import InputError

ORIGINALS = {"a": (2000, 2500), "b": (2500, 2000), "c": (1800, 1800), "d": (3001, 1999)}
"""Width and height by name."""
FINDINGS = ("Mass", "Nodule/Mass", "ILD")


def vindr_table(path: Path) -> None:
    """Two readers, boxes of three findings in four images, and a row without a finding."""
    generator = np.random.default_rng(3)
    rows = [["image_id", "class_name", "rad_id", "x_min", "y_min", "x_max", "y_max"]]
    for name, (width, height) in ORIGINALS.items():
        for k in range(5):
            left, top = generator.uniform(0, 0.6, 2) * (width, height)
            right, bottom = left + width * generator.uniform(0.05, 0.4), top + height * generator.uniform(0.05, 0.4)
            rows.append([name, FINDINGS[k % 3], f"R{k % 2}", *(f"{v:.3f}" for v in (left, top, right, bottom))])
    rows.append(["b", "No finding", "R9", "", "", "", ""])
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)


def by_hand(path: Path) -> list[tuple[Any, ...]]:
    """Image, finding and corners of each box, by the standard library."""
    with path.open(newline="") as handle:
        return [
            (row["image_id"], row["class_name"], *(float(row[key]) for key in ("x_min", "y_min", "x_max", "y_max")))
            for row in csv.DictReader(handle)
            if row["x_min"]
        ]


def picture(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4096, (height, width)).astype(np.uint16)


def as_dicom(path: Path, name: str) -> None:
    path.with_suffix(".dicom").write_bytes(dicom(picture(*ORIGINALS[name]), BitsStored=12))


def as_small_copy(path: Path, name: str) -> None:
    width, height = ORIGINALS[name]
    Image.fromarray((picture(round(width / 8), round(height / 8)) >> 4).astype(np.uint8)).save(path.with_suffix(".png"))


def sizes_of(path: Path, header: str, form: Callable[[str, int, int], str]) -> Path:
    rows = [form(name, *ORIGINALS[name]) for name in reversed(ORIGINALS)]
    path.write_text("\n".join([header, *rows, ""]))
    return path


SIZES: dict[str, Callable[[Path], Path]] = {
    "width and height": lambda path: sizes_of(path, "image_id,width,height", lambda name, w, h: f"{name},{w},{h}"),
    "dim0 and dim1": lambda path: sizes_of(path, "image_id,dim0,dim1", lambda name, w, h: f"{name},{h},{w}"),
    "of file names, as floats": lambda path: sizes_of(
        path, "height,image_id,width,more", lambda name, w, h: f"{h}.0,{name}.png,{w}.0,x"
    ),
}


def used(folder: Path, sizes: Path | None, suffix: str) -> pd.DataFrame:
    names = [f"{name}{suffix}" for name in ORIGINALS]
    selected = pd.DataFrame({"image": names, "path": names})
    return boxes_of(BoxFiles(folder / "boxes.csv", sizes, None, WORDS), selected, folder, names, FINDINGS).boxes


def check(found: pd.DataFrame, expected: list[tuple[Any, ...]], suffix: str) -> None:
    """Each box, at the scale of its own original."""
    rows = found[["image", "finding", "x", "y", "w", "h", "width", "height"]].itertuples(index=False)
    for (image, finding, x, y, w, h, *original), (name, what, left, top, right, bottom) in zip(
        rows, expected, strict=True
    ):
        assert (image, finding) == (f"{name}{suffix}", what)
        assert [x, y, x + w, y + h] == pytest.approx([left, top, right, bottom])
        assert tuple(original) == ORIGINALS[name]


def test_the_size_of_dicom_originals_is_that_of_their_header(tmp_path: Path):
    vindr_table(tmp_path / "boxes.csv")
    for name in ORIGINALS:
        as_dicom(tmp_path / name, name)
        tags = pydicom.dcmread(tmp_path / f"{name}.dicom")
        assert (tags.Columns, tags.Rows) == ORIGINALS[name]
    check(used(tmp_path, None, ".dicom"), by_hand(tmp_path / "boxes.csv"), ".dicom")


def test_boxes_of_an_unreadable_image_are_left_out(tmp_path: Path):
    vindr_table(tmp_path / "boxes.csv")
    for name in ORIGINALS:
        as_dicom(tmp_path / name, name)
    (tmp_path / "b.dicom").write_bytes(b"rubbish")
    check(used(tmp_path, None, ".dicom"), [box for box in by_hand(tmp_path / "boxes.csv") if box[0] != "b"], ".dicom")
    for name in ORIGINALS:
        (tmp_path / f"{name}.dicom").write_bytes(b"")
    with pytest.raises(InputError, match=r"boxes\.csv: no image with a box can be read"):
        used(tmp_path, None, ".dicom")


@pytest.mark.parametrize("form", SIZES)
def test_the_size_of_the_originals_of_copies_is_that_of_the_table(form: str, tmp_path: Path):
    vindr_table(tmp_path / "boxes.csv")
    for name in ORIGINALS:
        as_small_copy(tmp_path / name, name)
    sizes = SIZES[form](tmp_path / "sizes.csv")
    check(used(tmp_path, sizes, ".png"), by_hand(tmp_path / "boxes.csv"), ".png")
    packed = tmp_path / "sizes.csv.gz"
    packed.write_bytes(gzip.compress(sizes.read_bytes()))
    check(used(tmp_path, packed, ".png"), by_hand(tmp_path / "boxes.csv"), ".png")


def test_three_readers_of_one_small_lesion_do_not_look_like_another_scale(tmp_path: Path):
    """Two films, each with a lesion in the upper left that all readers marked, in copies of half the side."""
    header = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max"
    rows = [f"{name},Cardiomegaly,3,R{k},{300 + k},350,450,470" for name in ("a", "b") for k in range(3)]
    (tmp_path / "boxes.csv").write_text("\n".join([header, *rows, ""]))
    (tmp_path / "sizes.csv").write_text("image_id,width,height\na,1000,1000\nb,1000,1000\n")
    for name in ("a", "b"):
        Image.fromarray(np.zeros((500, 500), np.uint8)).save(tmp_path / f"{name}.png")
    selected = pd.DataFrame({"image": ["a.png", "b.png"], "path": ["a.png", "b.png"]})
    files = BoxFiles(tmp_path / "boxes.csv", tmp_path / "sizes.csv", None, WORDS)
    assert len(boxes_of(files, selected, tmp_path, ["a.png", "b.png"], ["Cardiomegaly"]).boxes) == 6


def boxes_at(folder: Path, factor: float, corners: np.ndarray, wide: int = 1000) -> pd.DataFrame:
    """Boxes of a quarter of the side in originals of `wide` pixels, all numbers times a factor, as they are used."""
    header = "image_id,class_name,x_min,y_min,x_max,y_max,width,height\n"
    rows = [
        f"f{k},Mass,{factor * x},{factor * y},{factor * (x + wide / 4)},{factor * (y + wide / 4)},{wide},{wide}\n"
        for k, (x, y) in enumerate(corners.tolist())
    ]
    for k in range(len(rows)):
        Image.fromarray(np.zeros((wide, wide), np.uint8)).save(folder / f"f{k}.png")
    (folder / "boxes.csv").write_text(header + "".join(rows))
    names = [f"f{k}.png" for k in range(len(rows))]
    selected = pd.DataFrame({"image": names, "path": names})
    files = BoxFiles(folder / "boxes.csv", None, None, WORDS)
    return boxes_of(files, selected, folder, names, ["Mass"]).boxes


@pytest.mark.parametrize(("factor", "unit"), [(1 / 1000, "fractions"), (100 / 1000, "percent")])
@pytest.mark.parametrize("images", [1, 5])
def test_boxes_in_another_unit_are_refused(factor: float, unit: str, images: int, tmp_path: Path):
    """Also in originals, of which the size does not tell."""
    with pytest.raises(InputError, match=rf"no coordinate is above \S+, so the boxes seem to be in {unit}; boxes must"):
        boxes_at(tmp_path, factor, np.random.default_rng(0).integers(200, 700, (images, 2)))


@pytest.mark.parametrize("factor", [0.3, 0.5, 0.65])
def test_boxes_that_may_be_of_smaller_copies_are_said(factor: float, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Even if a box lies elsewhere; the boxes of a finding may lie so, and are used."""
    corners = np.random.default_rng(0).integers(0, 750, (120, 2))
    corners[7] = 700 / factor
    assert len(boxes_at(tmp_path, factor, corners)) == 120
    assert "nearly all boxes lie within the upper left" in caplog.text
    caplog.clear()
    boxes_at(tmp_path, 1, np.random.default_rng(0).integers(0, 750, (120, 2)))
    boxes_at(tmp_path, 1, np.array([[20, 30], [60, 10], [90, 40]]))
    assert caplog.text == ""


@pytest.mark.parametrize("bits", [10, 14])
def test_a_turned_tiff_is_known_that_pillow_cannot_open(bits: int, tmp_path: Path):
    content = tiff(film(2**bits - 1), Tiff(bits=bits, tags={274: (SHORT, [6])}))
    (tmp_path / "a.tif").write_bytes(content)
    assert why_not_as_stored(tmp_path / "a.tif") == "is turned or mirrored by its orientation tag"


def test_a_place_in_the_network_square_is_where_plain_arithmetic_puts_it(tmp_path: Path):
    """The centre of a single box: its share of the longer side, from the middle."""
    vindr_table(tmp_path / "boxes.csv")
    for name in ORIGINALS:
        as_dicom(tmp_path / name, name)
    found = used(tmp_path, None, ".dicom")
    for (image, finding), one in found.iloc[::5].groupby(["image", "finding"]):
        rows, columns = np.nonzero(in_frame(agreed_mask(one), "pad"))
        name = str(image).removesuffix(".dicom")
        (box,) = [one for one in by_hand(tmp_path / "boxes.csv")[::5] if one[:2] == (name, finding)]
        width, height = ORIGINALS[name]
        side = max(width, height)
        across = ((box[2] + box[4]) / 2 - width / 2) / side * FRAME + FRAME / 2
        down = ((box[3] + box[5]) / 2 - height / 2) / side * FRAME + FRAME / 2
        assert columns.mean() + 0.5 == pytest.approx(across, abs=1)
        assert rows.mean() + 0.5 == pytest.approx(down, abs=1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_that_its_tag_turns_is_known(kind: str, orientation: int, tmp_path: Path):
    tag = exif(orientation) if kind == "PNG" else b"Exif\0\0" + exif(orientation)
    Image.fromarray(np.zeros((40, 30), np.uint8)).save(
        tmp_path / "a", kind, **({"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": tag})
    )
    assert bool(why_not_as_stored(tmp_path / "a")) == (orientation != 1)


@pytest.mark.parametrize(("spacing", "square"), [([0.1, 0.1], True), ([0.1, 0.1001], True), ([0.1, 0.2], False)])
def test_oblong_pixels_are_known(spacing: list[float], square: bool, tmp_path: Path):
    (tmp_path / "a").write_bytes(dicom(picture(40, 30), PixelSpacing=spacing))
    assert (why_not_as_stored(tmp_path / "a") == "") == square


def test_sizes_without_boxes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = [
        "evaluate",
        "--model",
        "m",
        "--dataset",
        "nih",
        "--images",
        "i",
        "--labels",
        "l.csv",
        "--box-sizes",
        "s.csv",
    ]
    assert main(words) == 1
    assert capsys.readouterr().err == (
        "error: --box-sizes: is given without --boxes, and nothing would read it; give both, or neither\n"
    )


@pytest.mark.parametrize(
    ("listed", "image"),
    [
        ("p.png", "p.png"), ("p.jpg", "p.jpg"),  # the whole name goes before the stem
        ("q", "q.png"), ("q.jpg", ""), ("q.dcm", "q.png"), ("q.DICOM", "q.png"), ("q.dcm.gz", "q.png"),
        ("u.png", "u.dicom"), ("u.jpg.gz", "u.dicom"), ("v.png", "v.png.gz"),
        ("r.png", "r"), ("r", "r"), ("s.jpg", "s.jpeg"), ("1.2.3", "1.2.3.dcm"), ("t", ""),
    ],
)  # fmt: skip
def test_the_image_of_a_box_is_the_one_of_its_name(listed: str, image: str):
    names = ["p.png", "p.jpg", "q.png", "r", "s.jpeg", "1.2.3.dcm", "u.dicom", "v.png.gz"]
    assert table_names(Path("boxes.csv"), [listed], names).tolist() == [image]


@pytest.mark.parametrize("listed", ["p", "p.dcm"])
def test_a_box_of_several_images_is_refused(listed: str):
    with pytest.raises(InputError, match=rf"boxes.csv: '{listed}' fits several images, p.png, p.jpg; write the suffix"):
        table_names(Path("boxes.csv"), ["p.png", listed], ["p.png", "p.jpg"])


@pytest.mark.parametrize("form", ["nih", "vindr"])
def test_two_images_that_differ_in_the_suffix_keep_their_own_boxes(form: str, tmp_path: Path):
    """And their own sizes."""
    table = {
        "nih": "Image Index,Finding Label,Bbox [x,y,w,h]\np.png,Mass,20,20,180,180\np.jpg,Mass,400,400,200,200\n",
        "vindr": "image_id,class_name,x_min,y_min,x_max,y_max\np.png,Mass,2,2,20,20\np.jpg,Mass,40,40,60,60\n",
    }[form]
    (tmp_path / "boxes.csv").write_text(table)
    (tmp_path / "sizes.csv").write_text("image_id,width,height\np.jpg,128,128\np.png,64,64\n")
    names, sides = ["p.jpg", "p.png"], {"p.jpg": 128, "p.png": 64}
    for name, side in sides.items():
        Image.fromarray(np.zeros((side, side), np.uint8)).save(tmp_path / name)
    sizes = tmp_path / "sizes.csv" if form == "vindr" else None
    selected = pd.DataFrame({"image": names, "path": names})
    files = BoxFiles(tmp_path / "boxes.csv", sizes, None, WORDS)
    found = boxes_of(files, selected, tmp_path, names, ["Mass"]).boxes.set_index("image")
    left = {"nih": {"p.png": 20, "p.jpg": 400}, "vindr": {"p.png": 2, "p.jpg": 40}}[form]
    assert found["x"].to_dict() == left
    assert found["width"].to_dict() == (sides if form == "vindr" else dict.fromkeys(sides, 1024))
