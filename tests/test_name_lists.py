"""Lists of names beside a label table, files of nearly an image's name, and tables that belong together."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.labels_files import NIH_2020_COLUMNS, labels_params, manifest_of, write_rows
from trcgl.labels.build import build_labels
from trcgl.labels.chexpert import FINDINGS
from trcgl.labels.cxrlt import read_cxrlt
from trcgl.labels.file_match import likely_file, match_files
from trcgl.labels.folder import read_folder
from trcgl.labels.mimic import read_mimic
from trcgl.labels.name_lists import find_list
from trcgl.labels.nih import read_nih
from trcgl.labels.splits import read_split_file
from trcgl.labels.vindr import read_vindr
from trcgl.runtime.errors import InputError

IMAGES = [f"{k // 2:08d}_{k % 2:03d}.png" for k in range(20)]
TEST = IMAGES[6:12]


def nih_table(folder: Path) -> Path:
    rows = [
        {"Image Index": name, "Finding Labels": "Mass", "Patient ID": str(int(name[:8])), "View Position": "PA"}
        for name in IMAGES
    ]
    return write_rows(folder / "Data_Entry_2017_v2020.csv", NIH_2020_COLUMNS, rows)


def read_test_split(folder: Path) -> list[str]:
    table = read_nih(nih_table(folder))
    return table.rows.loc[table.rows["split"] == "test", "image"].tolist()


LISTS: dict[str, Callable[[list[str]], bytes]] = {
    "plain": lambda names: "\n".join(names).encode(),
    "folders": lambda names: "\n".join(f"images_001/images/{name}" for name in names).encode(),
    "folders of Windows": lambda names: "\r\n".join(f"images_001\\{name}" for name in names).encode(),
    "another suffix": lambda names: "\n".join(name[:-3] + "jpg" for name in names).encode(),
    "no suffix": lambda names: "\n".join(name[:-4] for name in names).encode(),
    "capitals": lambda names: "\n".join(name.upper() for name in names).encode(),
    "commas at the end": lambda names: "\n".join(name + "," for name in names).encode(),
    "one line with commas": lambda names: ", ".join(names).encode(),
    "semicolons": lambda names: ";\n".join(names).encode(),
    "quotes": lambda names: "\n".join(f'"{name}"' for name in names).encode(),
    "curly quotes": lambda names: "\n".join(f"\u2018{name}\u2019" for name in names).encode(),
    "byte order mark": lambda names: ("\ufeff" + "\n".join(names)).encode(),
    "UTF-16": lambda names: "\n".join(names).encode("utf-16"),
    "CR": lambda names: "\r".join(names).encode(),
    "CRLF and blank lines": lambda names: "\r\n\r\n".join(["", *names, ""]).encode(),
    "twice": lambda names: "\n".join(names + names).encode(),
    "spaces": lambda names: "\n".join(f" {name}\u00a0" for name in names).encode(),
    "zero-width spaces": lambda names: "\n".join(f"\u200b{name}" for name in names).encode(),
    "a header": lambda names: "\n".join(["Image Index", *names]).encode(),
    "mixed": lambda names: "\n".join([*names[:2], *(f"x/{name[:-4]}.jpg" for name in names[2:])]).encode(),
}


@pytest.mark.parametrize("way", LISTS)
def test_a_list_in_any_spelling_names_the_same_images(way: str, tmp_path: Path):
    (tmp_path / "test_list.txt").write_bytes(LISTS[way](TEST))
    assert read_test_split(tmp_path) == TEST
    (tmp_path / "train_val_list.txt").write_bytes(LISTS[way]([name for name in IMAGES if name not in TEST]))
    assert read_test_split(tmp_path) == TEST


def test_the_official_lists_under_the_names_of_smaller_copies(tmp_path: Path):
    (tmp_path / "test_list_NIH.txt").write_text("\n".join(TEST))
    assert read_test_split(tmp_path) == TEST
    (tmp_path / "train_val_list_NIH.txt").write_text("\n".join(IMAGES))
    with pytest.raises(InputError, match=r"is in both test_list_NIH\.txt and train_val_list_NIH\.txt"):
        read_test_split(tmp_path)


@pytest.mark.parametrize(
    ("name", "official"),
    [
        ("test_list2.txt", "test_list.txt"), ("test_list_official.txt", "test_list.txt"),
        ("official_test_list.txt", "test_list.txt"), ("Test-List (1).txt", "test_list.txt"),
        ("nih2testlist.csv", "test_list.txt"), ("train_val_lists.txt", "train_val_list.txt"),
        ("Removal_list.csv", "Removal.csv"), ("Removals.csv", "Removal.csv"), ("my removal.csv", "Removal.csv"),
        ("corrupted_images_v2.csv", "corrupted_images.csv"), ("corrupted_images2.csv", "corrupted_images.csv"),
        ("corruptedimages.csv", "corrupted_images.csv"),
    ],
)  # fmt: skip
def test_an_official_list_under_nearly_its_name_stops(name: str, official: str, tmp_path: Path):
    (tmp_path / name).write_text("x")
    with pytest.raises(InputError) as raised:
        find_list(tmp_path, official)
    assert f"{name}: seems to be the official {official}; rename it" in str(raised.value)


@pytest.mark.parametrize(
    "name", ["latest_list.txt", "test_listing.txt", "removalist.csv", "train.csv", "._test_list.txt"]
)
def test_another_name_is_no_official_list(name: str, tmp_path: Path):
    (tmp_path / name).write_text("x")
    (tmp_path / "corrupted_images").mkdir()
    for known in ("test_list.txt", "corrupted_images.csv", "Removal.csv"):
        assert find_list(tmp_path, known) is None


def test_the_whole_official_list_beside_a_part_of_the_table(tmp_path: Path, said: list[str]):
    others = [f"{k:08d}_000.png" for k in range(500, 600)]
    (tmp_path / "test_list.txt").write_text("\n".join([*others, *TEST]))
    assert read_test_split(tmp_path) == TEST
    assert "the label table has 6 of its 106 names (it lacks '00000500_000.png' and 99 more)" in said[0]
    # Both lists show that no image of the table is forgotten, however many names they have
    (tmp_path / "test_list.txt").write_text("\n".join([*TEST, *others[:3]]))
    with pytest.raises(InputError, match=r"has 6 of its 9 names .* put train_val_list.txt beside it"):
        read_test_split(tmp_path)
    (tmp_path / "train_val_list.txt").write_text("\n".join(sorted(set(IMAGES) - set(TEST))))
    assert read_test_split(tmp_path) == TEST


def test_two_images_that_differ_by_suffix_are_matched_by_it(tmp_path: Path):
    rows = [
        {"Image Index": name, "Finding Labels": "Mass", "Patient ID": str(k), "View Position": "PA"}
        for k, name in enumerate(("a.png", "a.jpg", "b.png"))
    ]
    file = write_rows(tmp_path / "t.csv", NIH_2020_COLUMNS, rows)
    (tmp_path / "test_list.txt").write_text("a.jpg\n")
    assert read_nih(file).rows["split"].tolist() == ["", "test", ""]
    (tmp_path / "test_list.txt").write_text("a.tif\nb.png\n")
    with pytest.raises(InputError, match=r"'a\.tif' fits several images of the label table"):
        read_nih(file)


def test_lists_to_leave_out_in_other_spellings(tmp_path: Path, said: list[str]):
    rows = [{"ImageID": f"{name}.png", "PatientID": name, "Mass": str(k % 2)} for k, name in enumerate("abcd")]
    write_rows(tmp_path / "train.csv", ["ImageID", "PatientID", "Mass"], rows)
    write_rows(tmp_path / "Removal.csv", ["ImageID"], [{"ImageID": "0/b.png"}, {"ImageID": "c"}, {"ImageID": "z.png"}])
    assert read_cxrlt(tmp_path).rejected["image"].tolist() == ["b.png", "c.png"]
    assert "names matched without their folder or suffix: 2 of 3" in said[0]
    assert "the label table has 2 of its 3 names (it lacks 'z.png')" in said[1]


def test_an_image_in_several_rows_is_named_in_all_of_them(tmp_path: Path):
    rows = [{"ImageID": f"{name}.png", "PatientID": name, "Mass": str(k % 2)} for k, name in enumerate("aabc")]
    write_rows(tmp_path / "train.csv", ["ImageID", "PatientID", "Mass"], rows)
    write_rows(tmp_path / "Removal.csv", ["ImageID"], [{"ImageID": "a.png"}])
    assert read_cxrlt(tmp_path).rows["image"].tolist() == ["b.png", "c.png"]
    file = nih_table(tmp_path)
    with file.open("a") as handle:
        handle.write(file.read_text().splitlines()[1 + IMAGES.index(TEST[0])] + "\n")
    (tmp_path / "test_list.txt").write_text("\n".join(TEST))
    (tmp_path / "train_val_list.txt").write_text("\n".join(sorted(set(IMAGES) - set(TEST))))
    assert read_nih(file).rejected["image"].tolist() == [TEST[0]]


FILES: list[tuple[str, list[str], str]] = [
    ("a.png", ["x/a.png", "x/A.PNG"], "x/a.png"),
    ("a.png", ["x/a.PNG"], "x/a.PNG"),
    ("A.png", ["x/a.png"], "x/a.png"),
    ("a.jpg", ["a.jpeg"], "a.jpeg"),
    ("a.dicom", ["a.DCM"], "a.DCM"),
    ("a", ["d/a.png"], "d/a.png"),
    ("t\u00f3rax.png", ["to\u0301rax.png"], "to\u0301rax.png"),
    ("to\u0301rax.png", ["t\u00f3rax.png"], "t\u00f3rax.png"),
    ("t\u00f3rax.png", ["to\u0301rax.png", "t\u00f3rax.png"], "t\u00f3rax.png"),
    ("a.png", ["a.jpg"], ""),
    ("a", ["a.png", "a.jpg"], ""),
    ("a.png", ["1/A.png", "2/A.png"], ""),
    ("a.png", ["A.png", "a.PNG"], ""),
    ("a.png", ["aa.png", "b/a.png.png"], ""),
]


@pytest.mark.parametrize(("image", "paths", "expected"), FILES)
def test_a_file_of_nearly_the_name(image: str, paths: list[str], expected: str, said: list[str]):
    """The exact name wins; a near one is taken if there is one only, and said."""
    rows = pd.DataFrame({"image": [image], "folder": "", "file": ""})
    found, _ = match_files(rows, pd.Series(paths))
    assert found.tolist() == [expected]
    exact = expected == "" or Path(expected).name == image
    assert len(said) == (0 if exact else 1)


def test_a_file_is_taken_once(tmp_path: Path):
    rows = pd.DataFrame({"image": ["a.png", "A.png", "b.PNG", "B.png"], "folder": "", "file": ""})
    assert match_files(rows, pd.Series(["a.png", "b.png"]))[0].tolist() == ["a.png", "", "", ""]


def test_paths_with_folders_match_nearly_too():
    rows = pd.DataFrame({"image": ["x_a.png", "y_a.png"], "folder": "", "file": ["x/a.png", "y/a.png"]})
    paths = pd.Series(["in/X/A.png", "in/y/a.png", "in/z/a.png"])
    assert match_files(rows, paths)[0].tolist() == ["in/X/A.png", "in/y/a.png"]


def test_the_file_that_is_probably_meant_is_named(tmp_path: Path, said: list[str]):
    rows = [f"im_{k}.png,{k},{('train', 'val', 'test')[k % 3]},{k // 3 % 2}" for k in range(12)]
    (tmp_path / "t.csv").write_text("image,patient,split,mass\n" + "\n".join(rows))
    table = read_folder(tmp_path / "t.csv")
    build_labels(table, manifest_of([*(f"im_{k}.png" for k in range(11)), "im 11.jpg"]), labels_params())
    assert "t.csv: images without a file: 1; for 'im_11.png' the folder has 'im 11.jpg'" in said[-1]
    with pytest.raises(InputError, match=r"\(image file missing: 12\); for 'im_0\.png' the folder has 'im_0\.jpg'"):
        build_labels(table, manifest_of(f"im_{k}.jpg" for k in range(12)), labels_params())


@pytest.mark.parametrize(
    ("name", "meant"),
    [("1.0", "1.png"), ("10.0", "10.png"), ("1_0", "1-0.png"), ("7.00", "07.png"), ("a-1.png", "a1.jpg"), ("1.1", "")],
)
def test_a_number_of_another_image_is_not_probably_meant(name: str, meant: str):
    paths = pd.Series(["10.png", "1.png", "100.png", "1-0.png", "11.png", "07.png", "a1.jpg"])
    said = likely_file(pd.Series([name]), paths)
    assert said.startswith(f"for '{name}' the folder has '{meant}':") if meant else said == ""


def test_splits_in_other_spellings(tmp_path: Path):
    names = {"Train": "train", "TRAINING": "train", "valid": "val", "Validate": "val", "VAL": "val", "Testing": "test"}
    rows = [{"patient": f"p{k}", "split": name} for k, name in enumerate(names)]
    file = write_rows(tmp_path / "s.csv", ["patient", "split"], rows)
    assert list(read_split_file(file).values()) == list(names.values())
    cells = ["NA", "", "Train", "nan", "None", "-"]
    lines = [f"{k}.png,{k},{cell},{cell},{cell},1" for k, cell in enumerate(cells)]
    (tmp_path / "t.csv").write_text("image,patient,split,sex,projection,mass\n" + "\n".join(lines))
    table = read_folder(tmp_path / "t.csv")
    assert table.rows["split"].tolist() == ["", "", "train", "", "", ""]
    assert table.rows["sex"].tolist() == table.rows["projection"].tolist() == ["", "", "Train", "", "", ""]


def mimic_tables(folder: Path, *, float_labels: bool, float_images: bool, suffix: str = "") -> Path:
    def whole(number: int, as_float: bool) -> str:
        return f"{number}.0" if as_float else str(number)

    studies, images, splits = [], [], []
    for k in range(6):
        ids = {"subject_id": 10000032 + k // 2, "study_id": 50414267 + k}
        values = {name: str(int((k + place) % 2)) for place, name in enumerate(FINDINGS)}
        studies.append({key: whole(number, float_labels) for key, number in ids.items()} | values)
        about = {key: whole(number, float_images) for key, number in ids.items()}
        images.append(about | {"dicom_id": f"d{k}{suffix}", "ViewPosition": "PA"})
        splits.append({"dicom_id": f"d{k}", "split": ("train", "validate", "test")[k // 2]})
    write_rows(folder / "mimic-cxr-2.0.0-metadata.csv", ["dicom_id", "subject_id", "study_id", "ViewPosition"], images)
    write_rows(folder / "mimic-cxr-2.0.0-split.csv", ["dicom_id", "split"], splits)
    return write_rows(folder / "mimic-cxr-2.0.0-chexpert.csv", ["subject_id", "study_id", *FINDINGS], studies)


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("images", [False, True])
@pytest.mark.parametrize("suffix", ["", ".jpg", ".dcm"])
def test_mimic_tables_of_which_one_went_through_floats(labels: bool, images: bool, suffix: str, tmp_path: Path):
    table = read_mimic(mimic_tables(tmp_path, float_labels=labels, float_images=images, suffix=suffix))
    assert table.rows["image"].tolist() == [f"d{k}.jpg" for k in range(6)]
    assert table.rows["patient"].tolist() == [str(10000032 + k // 2) for k in range(6)]
    assert table.rows["study"].tolist() == [str(50414267 + k) for k in range(6)]
    assert table.rows["split"].tolist() == ["train", "train", "val", "val", "test", "test"]
    assert table.matrix(FINDINGS).tolist() == [[(k + place) % 2 for place in range(len(FINDINGS))] for k in range(6)]


@pytest.mark.parametrize("release", ["2.1.0", "3"])
def test_files_of_another_release_of_mimic_are_found(release: str, tmp_path: Path):
    path = mimic_tables(tmp_path, float_labels=False, float_images=False)
    for part in ("metadata", "split"):
        (tmp_path / f"mimic-cxr-2.0.0-{part}.csv").rename(tmp_path / f"mimic-cxr-{release}-{part}.csv")
    assert read_mimic(path).rows["split"].tolist() == ["train", "train", "val", "val", "test", "test"]


def test_other_tables_beside_mimics_are_no_split(tmp_path: Path):
    """CXR-LT's tables have a split and classes; a split of patients is one's own."""
    path = mimic_tables(tmp_path, float_labels=False, float_images=False)
    (tmp_path / "mimic-cxr-2.0.0-split.csv").unlink()
    (tmp_path / "labels.csv").write_text("dicom_id,subject_id,study_id,split,Mass\nd0,1,2,test,1\n")
    (tmp_path / "split.csv").write_text("patient,split\n10000032,test\n")
    (tmp_path / "odd.csv").write_bytes(b"\0\1\2")
    assert set(read_mimic(path).rows["split"]) == {""}


def test_vindr_images_in_both_files_stop(tmp_path: Path):
    for name, images in (("image_labels_train.csv", "ab"), ("image_labels_test.csv", "bc")):
        rows = [{"image_id": f"{image}.dicom", "Mass": str(k)} for k, image in enumerate(images)]
        write_rows(tmp_path / name, ["image_id", "Mass"], rows)
    with pytest.raises(InputError, match=r"image 'b' is in image_labels_train\.csv too; keep each image in one"):
        read_vindr(tmp_path)
    assert read_vindr(tmp_path / "image_labels_train.csv").rows["image"].tolist() == ["a.dicom", "b.dicom"]


def test_one_image_in_two_splits_contradicts_itself(tmp_path: Path):
    (tmp_path / "t.csv").write_text("image,patient,split,mass\na.png,1,train,1\na.png,1,test,1\nb.png,2,,0\n")
    assert read_folder(tmp_path / "t.csv").rejected["reason"].tolist() == ["image listed with contradicting rows"] * 2


def test_rows_of_blanks_are_negatives_where_a_blank_is_one(tmp_path: Path):
    marks = [(k % 4 == 0, k % 5 == 0) for k in range(60)]
    rows = [
        f"{k}.png,{k},{('train', 'val', 'test')[k % 3]},{'1' if mass else ''},{'1' if scar else ''}"
        for k, (mass, scar) in enumerate(marks)
    ]
    (tmp_path / "t.csv").write_text("image,patient,split,mass,scar\n" + "\n".join([*rows, "0.png,0,train,,"]))
    table = read_folder(tmp_path / "t.csv")
    manifest = manifest_of(f"{k}.png" for k in range(60))
    with pytest.raises(
        InputError, match=r"'mass' has 5 positives and no negative in training .*'labels.missing' .* to negative"
    ):
        build_labels(table, manifest, labels_params())
    built = build_labels(table, manifest, labels_params(missing="negative"))
    assert len(built.labels) == 60
    # The image of the last row has another row
    assert built.rejected[["row", "reason"]].to_numpy().tolist() == [[61, "no label"]]
    known = built.labels.set_index("image").loc[[f"{k}.png" for k in range(60)], ["mass", "scar"]]
    assert known.to_numpy(int).tolist() == [[int(mass), int(scar)] for mass, scar in marks]
    (mass,) = (entry for entry in built.classes["classes"] if entry["name"] == "mass")
    assert mass["prevalence"] == sum(mass_ for k, (mass_, _) in enumerate(marks) if k % 3 == 0) / 20
