"""Tables of people's own: what may not be read in another way than it is meant."""

from pathlib import Path

import pandas as pd
import pytest

from tests.labels_files import labels_params, manifest_of
from trcgl.labels.build import build_labels
from trcgl.labels.folder import read_folder
from trcgl.labels.selection import Filters, select_images
from trcgl.runtime.errors import InputError


def table_of(folder: Path, *lines: str) -> Path:
    path = folder / "t.csv"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "seen"),
    [
        ("image,patient,Split,effusion", "column 'Split' seems to be 'split'; rename it to 'split', or remove it"),
        ("image,patient,SEX,effusion", "column 'SEX' seems to be 'sex'"),
        ("image,patient,Age,effusion", "column 'Age' seems to be 'age'"),
        ("image,patient,Labels,effusion", "column 'Labels' seems to be 'labels'"),
        ("image,patient,split,Split", "column 'Split' seems to be 'split'"),
        ("image,patient,effusion,", "column 4 has no name, but holds values (the first: '1'); name it if it is a find"),
        ("image,patient,effusion,Unnamed: 3", "column 4 has no name, but holds values (the first: '1')"),
        ("image,patient,,effusion", "column 3 has no name, but holds values (the first: '0')"),
    ],
)
def test_a_column_that_may_be_a_finding_or_not_is_refused(header: str, seen: str, tmp_path: Path):
    rows = [f"{k}.png,p{k},{k % 2},{1 - k % 2}" for k in range(6)]
    with pytest.raises(InputError) as raised:
        read_folder(table_of(tmp_path, header, *rows))
    assert seen in str(raised.value)


@pytest.mark.parametrize(
    ("header", "cells", "seen"),
    [
        ("set", ["train", "val", "test"], "column 'set' holds splits (the first: 'train'), and there is no"),
        ("Dataset_Split", ["Training", "", "TEST"], "column 'Dataset_Split' holds splits (the first: 'training')"),
        ("subset", ["", "", "test"], "column 'subset' holds splits (the first: 'test')"),
        ("fold", ["NA", "validate", "Testing"], "rename it to 'split', or remove it"),
        ("Labels", ["a", "b", "c"], "column 'Labels' seems to be 'labels'; rename it to 'labels', or remove it"),
        ("Patient", ["a", "b", "c"], "column 'Patient' seems to be 'patient'"),
        ("IMAGE", ["a", "b", "c"], "column 'IMAGE' seems to be 'image'"),
    ],
)  # fmt: skip
def test_a_column_that_is_not_read_beside_a_list_of_labels(header: str, cells: list[str], seen: str, tmp_path: Path):
    rows = [f"{k}.png,p{k},mass,{cell}" for k, cell in enumerate(cells)]
    with pytest.raises(InputError) as raised:
        read_folder(table_of(tmp_path, f"image,patient,labels,{header}", *rows))
    assert seen in str(raised.value)


def test_other_columns_beside_a_list_of_labels_are_not_read(tmp_path: Path):
    """A note of several lines, a fold by number, a word that is no split, and splits beside the one that is read."""
    rows = [f'{k}.png,p{k},mass,train,"a\nnote",{k},{word},test' for k, word in enumerate(["train", "tram", ""])]
    table = read_folder(table_of(tmp_path, "image,patient,labels,split,comment,fold,set,old", *rows))
    assert (table.vocabulary, table.rows["split"].tolist()) == (["mass"], ["train"] * 3)
    rows = [f'{k}.png,p{k},mass,"a\nnote",{k},{word},' for k, word in enumerate(["train", "tram", ""])]
    table = read_folder(table_of(tmp_path, "image,patient,labels,comment,fold,set,blank", *rows))
    assert table.rows["split"].tolist() == [""] * 3


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
@pytest.mark.parametrize(
    "numbers",
    [
        range(6), range(1, 7), [0, 1, 2, 3, 0, 1], [7, 3, 9, 1, 0, 5], [0] * 6, ["0.0", "1.0", "2.0", "", "", ""],
        ["A.1", "A.2", "B.1", "B.2", "B.3", "C"], [""] * 6,
    ],
)  # fmt: skip
def test_row_names_are_left_out(name: str, numbers: list[object], tmp_path: Path):
    """Of one table, of joined, sampled and one-row ones, of R; and a blank column."""
    rows = [f"{number},{k}.png,p{k},{k % 2}" for k, number in enumerate(numbers)]
    assert read_folder(table_of(tmp_path, f"{name},image,patient,mass", *rows)).vocabulary == ["mass"]


@pytest.mark.parametrize("header", ["image,patient,mass,,", "image,patient,mass,", ",image,patient,mass,,"])
@pytest.mark.parametrize("commas", [0, 1, 2])
def test_commas_at_the_end_of_the_header_or_of_rows_are_no_columns(header: str, commas: int, tmp_path: Path):
    start = "7," if header.startswith(",") else ""
    rows = [f"{start}{k}.png,p{k},{k % 2}{',' * commas}" for k in range(6)]
    table = read_folder(table_of(tmp_path, header, *(row.replace("7", str(k), 1) for k, row in enumerate(rows))))
    assert (len(table.rows), table.vocabulary) == (6, ["mass"])


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        (["image,patient,labels,comment", "a.png,p1,mass, nodule,", "b.png,p2,normal,"],
         "row 1 has 5 columns, the header 4"),
        (["image,patient,labels,comment", "b.png,p2,normal,", "a.png,Smith, John,mass,"],
         "row 2 has 5 columns, the header 4"),
        (["image,patient,effusion,nodule", "a.png,p1,1,0,", "b.png,p2,1,0"], "row 1 has 5 columns, the header 4"),
        (["image,patient,effusion,nodule", "a.png,p,1,1,0,,", "b.png,p2,1,0,"], "row 1 has 7 columns, the header 4"),
        # Names of rows by R, of which the header has none
        (["image,patient,labels", "1,a.png,p1,", "2,b.png,p2,mass"], "row 2 has 4 columns, the header 3"),
        # A comma at the end of all rows, or of the header, and one more in a row
        (["image,patient,labels", "a.png,p1,mass,", "b.png,p2,mass,nodule,"], "row 2 has 5 columns, the header 3"),
        (["image,patient,labels,age,", "a.png,p1,mass,9", "b.png,p2,mass,nodule,9"],
         "row 2 has 5 columns, the header 4"),
        (["image,patient,labels,age,", "a.png,p1,mass,9,", "b.png,p2,mass,nodule,9,"],
         "row 2 has 6 columns, the header 4"),
        (["image,patient,labels,", "a.png,p1,mass,nodule", "b.png,p2,normal,"],
         "column 4 has no name, but holds values"),
        (["image,,patient,labels", "a.png,p,1,mass", "b.png,q,2,mass"], "column 2 has no name, but holds values"),
    ],
)  # fmt: skip
def test_a_comma_that_is_not_quoted_moves_no_value(lines: list[str], seen: str, tmp_path: Path):
    with pytest.raises(InputError) as raised:
        read_folder(table_of(tmp_path, *lines))
    assert seen in str(raised.value)


def test_rows_of_blanks_alone_may_be_longer(tmp_path: Path):
    """As spreadsheets write them."""
    table = read_folder(table_of(tmp_path, "image,patient,labels", "a.png,p1,mass", ",,,,"))
    assert (table.rows["image"].tolist(), len(table.rejected)) == (["a.png"], 1)


@pytest.mark.parametrize(
    ("first", "second", "reasons"),
    [
        # Columns: patient, split, projection, sex, labels
        ("p,train,PA,F,a|b", "p,train,PA,F,b|a", {2: "duplicate image name"}),
        ("p,train,PA,F,a|b", "p,train,PA,F, b | a |", {2: "duplicate image name"}),
        ("p,train,PA,F,a", "p,train,,,a", {2: "duplicate image name"}),
        ("p,train,PA,F,a", "p,train,L,F,a", "both"),
        ("p,train,PA,F,a", "p,train,PA,M,a", "both"),
        ("p,train,PA,F,a", "p,test,PA,F,a", "both"),
        ("p,train,PA,F,a", "p,,PA,F,a", "both"),
        ("p,train,PA,F,a", "q,train,PA,F,a", "both"),
        ("p,train,PA,F,a", "q,train,PA,F,", {1: "image listed with contradicting rows", 2: "labels missing"}),
        ("p,train,PA,F,a", "p,train,PA,F,", {2: "labels missing"}),
        ("p,train,PA,F,a", "p,train,PA,F,a|b", "both"),
    ],
)
def test_two_rows_of_one_image(first: str, second: str, reasons: object, tmp_path: Path):
    header = "image,patient,split,projection,sex,labels"
    rows = [f"x.png,{first}", f"x.png,{second}", "y.png,z,train,PA,F,a|b"]
    found = read_folder(table_of(tmp_path, header, *rows)).rejected
    both = dict.fromkeys((1, 2), "image listed with contradicting rows")
    assert dict(zip(found["row"], found["reason"], strict=True)) == (both if reasons == "both" else reasons)


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        (["x.png,p,,", "x.png,p,,"], ["x.png"]),
        (["x.png,p,,", "x.png,q,,"], []),
        (["x.png,p,,", "x.png,p,nan,"], ["x.png"]),
        (["x.png,p,,", "x.png,p,1,0"], ["x.png"]),
        (["x.png,p,,", "x.png,p,1,0", "x.png,p,0,0"], []),
        (["x.png,p,,", "x.png,q,1,0"], []),
    ],
)
def test_a_row_without_labels_is_negative_only_where_nothing_contradicts_it(
    rows: list[str], kept: list[str], tmp_path: Path
):
    table = read_folder(table_of(tmp_path, "image,patient,mass,nodule", *rows, "y.png,z,1,1"))
    assert table.with_silent_rows().rows["image"].tolist() == [*kept, "y.png"]


def files_of(folder: Path, images: list[str], paths: list[str]) -> dict[str, str]:
    """Image name -> path of its file."""
    rows = [f"{image},p{k},a" for k, image in enumerate(images)]
    table = read_folder(table_of(folder, "image,patient,labels", *rows))
    try:
        selected = select_images(table, manifest_of(paths), Filters())[1]
    except InputError:
        return {}
    return dict(zip(selected["image"], selected["path"], strict=True))


@pytest.mark.parametrize(
    ("images", "found"),
    [
        # A whole path goes before one that ends like it
        (["A/0.png", "A/1.png"], {"A_0.png": "A/0.png", "A_1.png": "A/1.png"}),
        (["old/A/0.png", "A/0.png"], {"old_A_0.png": "old/A/0.png", "A_0.png": "A/0.png"}),
        (["./0.png"], {"0.png": "0.png"}),
        (["0.png", "A/1.png"], {"0.png": "0.png", "A_1.png": "A/1.png"}),
        # In a table of names alone, it is unknown which is meant
        (["0.png"], {}),
        (["B/0.png"], {}),
    ],
)
def test_a_backup_below_the_image_folder_is_not_the_image(images: list[str], found: dict[str, str], tmp_path: Path):
    paths = ["0.png", "A/0.png", "A/1.png", "old/A/0.png", "old/A/1.png", "old/0.png", "C/B/0.png", "D/B/0.png"]
    assert files_of(tmp_path, images, paths) == found


def test_folders_of_the_same_names_are_said(tmp_path: Path, said: list[str]):
    """Of masks beside the images, say, of which one lacks its image."""
    both = [f"{folder}/{name}.png" for folder in ("images", "masks") for name in "ab"]
    assert files_of(tmp_path, ["a.png", "b.png", "c.png"], [*both, "masks/c.png"]) == {"c.png": "masks/c.png"}
    assert said == [
        "image 'a.png' has files in the folders 'images' and 'masks', so it is unknown which is meant; such images: "
        "2 of 3 with a file. 'dataset.images' should name one folder, or the table a path (images/a.png)"
    ]
    said.clear()
    files_of(tmp_path, ["x/a.png", "c.png"], ["1/x/a.png", "2/x/a.png", "c.png"])
    assert "image 'x/a.png' has files in the folders '1' and '2'" in said[0]
    said.clear()
    files_of(tmp_path, ["a.png", "b.png", "c.png"], ["a.png", "old/a.png", "b.png", "c.png"])
    files_of(tmp_path, ["a.png", "b.png", "c.png"], ["b.png"])
    assert said == []
    files_of(tmp_path, ["a.png"], ["a.png", "old/a.png"])
    assert "in the folders '.' and 'old'" in said[0]


def test_what_seems_to_say_that_nothing_was_found_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    rows = [
        f"{k}.png,p{k},{label}" for k, label in enumerate(["No findings", "healthy", "mass", "normal", "No Finding"])
    ]
    assert read_folder(table_of(tmp_path, "image,patient,labels", *rows)).normal == "normal"
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert "'No findings' is read as a finding; if it says that nothing was found, write 'normal'" in said[0]
    assert "'healthy' is read as a finding" in said[1]
    assert "'No Finding' is read as a finding" in said[2]


def test_blank_splits_fill_the_split_that_no_row_states(tmp_path: Path):
    """As the message says that stops a table without a validation split."""
    stated = [f"{k}.png,p{k},{'test' if k % 3 else 'train'},mass|nodule" for k in range(60)]
    path = table_of(tmp_path, "image,patient,split,labels", *stated)
    manifest = manifest_of([f"{k}.png" for k in range(60)])
    params = labels_params(min_positives=1, tail_findings=None, exclude_images_with=[], projections=None)
    with pytest.raises(InputError, match="the val split has no image; leave the split of other patients blank"):
        build_labels(read_folder(path), manifest, params)
    blank = [line.replace(",train,", ",,") for line in stated]
    labels = build_labels(read_folder(table_of(tmp_path, "image,patient,split,labels", *blank)), manifest, params)
    assert set(labels.labels["split"]) == {"train", "val", "test"}
    expected = {f"{k}.png" for k in range(60) if k % 3}
    assert set(labels.labels.loc[labels.labels["split"] == "test", "image"]) == expected


def test_pandas_reads_the_same_rows(tmp_path: Path):
    """Against a reader that is not ours."""
    rows = [f"{k}.png,p{k},{k % 2},{(k // 2) % 2}" for k in range(8)]
    path = table_of(tmp_path, "image,patient,mass,nodule", *rows)
    table, expected = read_folder(path), pd.read_csv(path)
    assert table.matrix(["mass", "nodule"]).tolist() == expected[["mass", "nodule"]].to_numpy().tolist()
