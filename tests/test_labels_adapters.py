"""CheXpert, MIMIC-CXR, VinDr-CXR and tables of one's own: against torchxrayvision where it is there, and by hand."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.dataset_layouts import CHEXPERT_COLUMNS, VINDR_FINDINGS, chexpert, vindr
from tests.labels_files import labels_params, manifest_of, write_rows
from trcgl.labels.build import Labels, build_labels
from trcgl.labels.chexpert import FINDINGS, read_chexpert
from trcgl.labels.folder import read_folder
from trcgl.labels.mimic import read_mimic
from trcgl.labels.nih import read_nih
from trcgl.labels.selection import match_files
from trcgl.labels.table import UNKNOWN, LabelTable
from trcgl.labels.vindr import read_vindr
from trcgl.runtime.errors import InputError

XRV = [name for name in ("torchxrayvision", "skimage", "imageio") if importlib.util.find_spec(name)]
with_xrv = pytest.mark.skipif(
    len(XRV) < 3, reason="the oracle: `pip install --no-deps torchxrayvision==1.5.7 scikit-image imageio lazy_loader`"
)


def reasons(table: LabelTable) -> dict[int, str]:
    return dict(zip(table.rejected["row"], table.rejected["reason"], strict=True))


def as_floats(matrix: np.ndarray) -> np.ndarray:
    return np.where(matrix == UNKNOWN, np.nan, matrix.astype(np.float32))


def chexpert_row(path: str, **values: str) -> dict[str, str]:
    return {"Path": f"CheXpert-v1.0/train/{path}", "Sex": "Female", "Age": "68"} | values


def test_chexpert_codes(tmp_path: Path):
    frontal = {"Frontal/Lateral": "Frontal", "AP/PA": "AP"}
    in_small = frontal | {"Frontal/Lateral": "frontal"}
    rows = [
        chexpert_row("patient00001/study1/view1_frontal.jpg", Edema="1.0", Pneumonia="-1.0", Fracture="0.0", **frontal),
        # Nothing found: what is blank is absent, but for devices
        chexpert_row("patient00001/study2/view1_frontal.jpg", **{"No Finding": "1.0", "Pneumonia": "0.0"}, **in_small),
        chexpert_row("patient00002/study1/view2_lateral.jpg", Edema="1", **{"Frontal/Lateral": "LATERAL", "Age": "0"}),
        chexpert_row("patient00003/study1/view1_frontal.jpg", **frontal),
        chexpert_row("patient00004/study1/view1_frontal.jpg", Edema="x", **frontal),
        chexpert_row("elsewhere/view1_frontal.jpg", Edema="1", **frontal),
    ]
    table = read_chexpert(write_rows(tmp_path / "train.csv", CHEXPERT_COLUMNS, rows))
    assert reasons(table) == {4: "no label", 5: "label value is not 1, 0, -1 or blank", 6: "image name is a path"}
    assert table.rows["image"].to_list() == [
        "patient00001_study1_view1_frontal.jpg",
        "patient00001_study2_view1_frontal.jpg",
        "patient00002_study1_view2_lateral.jpg",
    ]
    assert table.rows["projection"].to_list() == ["AP", "AP", "L"]
    assert table.rows["age"].astype(object).fillna(-1).to_list() == [68, 68, -1]
    assert table.rows["patient"].nunique() == 2
    columns = ["Edema", "Pneumonia", "Fracture", "Support Devices", "Lung Lesion"]
    assert table.matrix(columns).tolist() == [[1, -1, 0, -1, -1], [0, 0, 0, -1, 0], [1, -1, -1, -1, -1]]
    assert table.settled("positive", "unknown").matrix(columns)[0].tolist() == [1, 1, 0, -1, -1]
    assert table.settled("negative", "unknown").matrix(columns)[0].tolist() == [1, 0, 0, -1, -1]
    assert table.settled("unknown", "unknown").matrix(columns).tolist() == table.matrix(columns).tolist()
    # The second label is uncertain and stays so; what is blank is absent
    assert table.settled("unknown", "negative").matrix(columns)[0].tolist() == [1, -1, 0, 0, 0]
    assert table.settled("positive", "negative").matrix(columns)[0].tolist() == [1, 1, 0, 0, 0]


def test_files_whose_names_repeat_are_found_by_their_whole_ending(tmp_path: Path):
    names = [f"patient0000{n}/study1/view1_frontal.jpg" for n in range(1, 5)]
    rows = [chexpert_row(name, Edema="1") for name in names]
    table = read_chexpert(write_rows(tmp_path / "train.csv", CHEXPERT_COLUMNS, rows))
    # The third lies twice; the fourth is not there, though a file of its name is
    paths = pd.Series(
        [
            f"CheXpert-v1.0 batch 2 (train 1)/{names[0]}",
            names[1],
            f"a/{names[2]}",
            f"b/{names[2]}",
            "patient00009/study1/view1_frontal.jpg",
            "view1_frontal.jpg",
        ]
    )
    found, ambiguous = match_files(table.rows, paths)
    assert found.tolist() == [paths[0], paths[1], "", ""]
    assert ambiguous.tolist() == [False, False, True, False]


@with_xrv
@pytest.mark.parametrize("shipped", [False, True], ids=["copy", "real"])
def test_chexpert_reads_as_torchxrayvision_does(tmp_path: Path, shipped: bool):
    torchxrayvision = importlib.import_module("torchxrayvision")

    (tmp_path / "train").mkdir()
    file = chexpert(tmp_path / "train").labels
    if shipped:
        file = Path(torchxrayvision.datasets.datapath) / "chexpert_train.csv.gz"
    table = read_chexpert(file)
    oracle = torchxrayvision.datasets.CheX_Dataset(
        "nowhere", str(file), views=["AP", "PA", "L", "LL", "RL"], unique_patients=False
    )
    names = [{"Effusion": "Pleural Effusion"}.get(str(name), str(name)) for name in oracle.pathologies]
    assert sorted([*names, "No Finding"]) == sorted(FINDINGS)
    theirs = oracle.labels[table.rows["row"].to_numpy() - 1]
    np.testing.assert_array_equal(as_floats(table.matrix(names)), theirs)
    assert len(oracle.labels) == table.source_rows


def mimic_jpg(folder: Path) -> Path:
    """MIMIC-CXR-JPG's tables: labels a study, images, split."""
    random = np.random.default_rng(0)
    studies, images, splits = [], [], []
    for number in range(30):
        about = {"subject_id": str(10000000 + number // 2), "study_id": str(50000000 + number)}
        values = {name: str(random.choice(["1.0", "0.0", "-1.0", ""])) for name in FINDINGS}
        if number % 5 == 0:
            values |= {name: str(random.choice(["0.0", ""])) for name in FINDINGS} | {"No Finding": "1.0"}
        else:
            values["No Finding"] = ""
        studies.append(about | values)
        for view in ("PA", "LATERAL")[: 1 + number % 2]:
            images.append(about | {"dicom_id": f"{number:04x}-{view}", "ViewPosition": view})
            split = ("train", "validate", "test")[number // 2 % 3]
            splits.append({"dicom_id": f"{number:04x}-{view}", "split": split})
    write_rows(folder / "mimic-cxr-2.0.0-metadata.csv", ["dicom_id", "subject_id", "study_id", "ViewPosition"], images)
    write_rows(folder / "mimic-cxr-2.0.0-split.csv", ["dicom_id", "split"], splits)
    return write_rows(folder / "mimic-cxr-2.0.0-chexpert.csv", ["subject_id", "study_id", *FINDINGS], studies)


def test_mimic_labels_of_a_study_go_to_each_of_its_images(tmp_path: Path):
    file = mimic_jpg(tmp_path)
    table = read_mimic(file)
    assert table.source_rows == len(table.rows) == 45
    own = pd.read_csv(file, index_col="study_id")[list(FINDINGS)].replace(-1, np.nan)
    normal = own["No Finding"] == 1
    findings = [name for name in FINDINGS if name not in ("No Finding", "Support Devices")]
    own.loc[normal, findings] = own.loc[normal, findings].fillna(0)
    np.testing.assert_array_equal(as_floats(table.matrix(FINDINGS)), own.loc[table.rows["study"].astype(int)])
    assert set(table.rows["split"]) == {"train", "val", "test"}
    assert (table.rows["folder"] == "s" + table.rows["study"]).all()
    assert table.rows["image"].iloc[0] == "0000-PA.jpg"


def test_mimic_counts_studies_without_images_and_images_without_labels(tmp_path: Path):
    file = mimic_jpg(tmp_path)
    lines = file.read_text().splitlines()
    stranger = ["10000099,50000099" + ",1.0" * len(FINDINGS)]
    file.write_text("\n".join(lines[:-1] + stranger) + "\n")
    table = read_mimic(file)
    assert sorted(reasons(table).values()) == ["image name missing", *["no labels of this study"] * 2]
    # Rows are those of the list of images, then those of studies without one
    listed = pd.read_csv(tmp_path / "mimic-cxr-2.0.0-metadata.csv")["dicom_id"] + ".jpg"
    for row, image in zip(table.rejected["row"], table.rejected["image"], strict=True):
        assert image == (listed[row - 1] if row <= len(listed) else "")
    (tmp_path / "mimic-cxr-2.0.0-metadata.csv").unlink()
    with pytest.raises(InputError, match=r"the list of images, mimic-cxr-2\.0\.0-metadata\.csv\.gz, is not beside it"):
        read_mimic(file)


def test_mimic_rows_without_a_study_id_get_no_labels_of_others(tmp_path: Path):
    file = mimic_jpg(tmp_path)
    whole = read_mimic(file)
    positive = "1" + ",1.0" * len(FINDINGS)
    file.write_text(file.read_text() + positive.replace("1", "11,", 1) + "\n" + positive.replace("1", "13,", 1) + "\n")
    metadata, split = (tmp_path / f"mimic-cxr-2.0.0-{part}.csv" for part in ("metadata", "split"))
    metadata.write_text(metadata.read_text() + "bb,12,,PA\ncc,14,,PA\n")
    split.write_text(split.read_text() + "bb,train\ncc,train\n")
    table = read_mimic(file)
    assert table.rows["image"].tolist() == whole.rows["image"].tolist()
    np.testing.assert_array_equal(table.matrix(FINDINGS), whole.matrix(FINDINGS))
    found = table.rejected[table.rejected["row"] > whole.source_rows - len(whole.rejected)]
    assert found["image"].tolist() == ["bb.jpg", "cc.jpg", "", ""]
    assert set(found["reason"].iloc[:2]) == {"study id missing"}
    assert set(found["reason"].iloc[2:]) == {"image name missing"}


def test_mimic_label_sets_with_one_row_per_image(tmp_path: Path):
    def path(number: int) -> str:
        return f"files/p10/p1000000{number // 2}/s5000000{number}/{number:04x}.jpg"

    columns = ["fpath", "ViewPosition", "split", "Mass", "Normal"]
    splits = ("train", "train", "development", "development", "test", "test")
    rows = [
        {"fpath": path(n), "ViewPosition": "AP", "split": split, "Mass": str(n % 2), "Normal": str(1 - n % 2)}
        for n, split in enumerate(splits)
    ]
    one = read_mimic(write_rows(tmp_path / "labels.csv", columns, rows))
    assert one.rows["image"].to_list() == [f"{n:04x}.jpg" for n in range(6)]
    assert one.rows["patient"].to_list() == ["10000000"] * 2 + ["10000001"] * 2 + ["10000002"] * 2
    assert one.rows["folder"].iloc[3] == "s50000003"
    assert one.rows["split"].to_list() == ["train", "train", "val", "val", "test", "test"]
    assert one.matrix(["Mass", "Normal"]).tolist() == [[n % 2, 1 - n % 2] for n in range(6)]
    assert one.normal == "Normal"
    with pytest.raises(InputError, match=r"holds no train_labeled\.csv or train\.csv or miccai2023"):
        read_mimic(tmp_path)
    names = ("train_labeled.csv", "development_labeled_task1.csv", "test_labeled_task1.csv")
    for position, name in enumerate(names):
        without = [column for column in columns if column != "split"]
        write_rows(tmp_path / name, without, rows[2 * position : 2 * position + 2])
    three = read_mimic(tmp_path)
    pd.testing.assert_frame_equal(three.rows, one.rows)
    assert three.matrix(["Mass"]).tolist() == one.matrix(["Mass"]).tolist()
    write_rows(tmp_path / "words.csv", [*columns, "Hospital"], [row | {"Hospital": "x"} for row in rows])
    with pytest.raises(InputError, match=r"words\.csv: column 'Hospital' holds no 0 or 1"):
        read_mimic(tmp_path / "words.csv")


def test_a_row_in_the_file_of_another_split_is_refused(tmp_path: Path):
    """A whole table saved under the name of the training file would train on its test images."""
    names = ("train.csv", "development.csv", "test.csv")
    for name, split in zip(names, ("train", "validate", "train"), strict=True):
        rows = [
            {"dicom_id": f"{name[:2]}{n}", "subject_id": "1", "study_id": f"5{n}", "split": own, "Mass": str(n % 2)}
            for n, own in enumerate(("", split))
        ]
        write_rows(tmp_path / name, ["dicom_id", "subject_id", "study_id", "split", "Mass"], rows)
    with pytest.raises(InputError, match=r"test\.csv: row 2: split 'train', but this is the file of the test images"):
        read_mimic(tmp_path)
    text = (tmp_path / "test.csv").read_text()
    (tmp_path / "test.csv").write_text(text.replace("train", "test"))
    assert read_mimic(tmp_path).rows["split"].tolist() == ["train", "train", "val", "val", "test", "test"]


def test_what_gives_no_age_is_said(tmp_path: Path, said: list[str]):
    """What is blank, and CheXpert's 0, is unknown without a line."""
    rows = [
        chexpert_row(f"patient0000{n}/study1/view1_frontal.jpg", Edema="1", **{"Age": age, "AP/PA": "AP"})
        for n, age in enumerate(("58", "058Y", "", "0", "old", "older"))
    ]
    write_rows(tmp_path / "train.csv", CHEXPERT_COLUMNS, rows)
    table = read_chexpert(tmp_path / "train.csv")
    assert table.rows["age"].tolist()[:2] == [58, 58]
    assert table.rows["age"][2:].isna().all()
    # Nothing says that they are lateral
    assert table.rows["projection"].tolist() == ["AP"] * 6
    assert len(said) == 1
    assert "train.csv: row 5: Age 'old' (as are 1 more) is not an age, and counts as unknown" in said[0]


def test_a_wrong_cell_of_several_files_is_named_by_its_own_file_and_row(tmp_path: Path, said: list[str]):
    columns = ["dicom_id", "subject_id", "study_id", "split", "Mass"]
    parts = ("train_labeled.csv", "development_labeled_task1.csv", "test_labeled_task1.csv")

    def write(split: str = "", mass: str = "1") -> None:
        """The last row of the last file has these cells."""
        for part, name in enumerate(parts):
            rows = [
                {"dicom_id": f"{part}{n}", "subject_id": "1", "study_id": f"5{part}{n}", "Mass": str(n % 2)}
                for n in range(4)
            ]
            if part == 2:
                rows[3] |= {"split": split, "Mass": mass}
            write_rows(tmp_path / name, columns, [{"split": ""} | row for row in rows])

    write(mass="x")
    assert reasons(read_mimic(tmp_path)) == {12: "label value is not 1, 0, -1 or blank"}
    assert "test_labeled_task1.csv: row 4: column 'Mass' holds 'x'" in said[0]
    write(split="dev")
    with pytest.raises(InputError, match=r"test_labeled_task1\.csv: row 4: split 'dev' is unknown"):
        read_mimic(tmp_path)

    rows = [{"image_id": image, "Mass": str(n % 2)} for n, image in enumerate("abcd")]
    write_rows(tmp_path / "image_labels_train.csv", ["image_id", "Mass"], rows)
    write_rows(tmp_path / "image_labels_test.csv", ["image_id", "Mass"], [{"image_id": "e", "Mass": "x"}])
    assert reasons(read_vindr(tmp_path)) == {5: "label value is not 1, 0, -1 or blank"}
    assert "image_labels_test.csv: row 1: column 'Mass' holds 'x'" in said[1]


def test_a_wrong_cell_of_a_study_is_named_by_the_row_of_the_study(tmp_path: Path, said: list[str]):
    """Whatever the order of the list of images, which may have several of a study."""
    file = mimic_jpg(tmp_path)
    header, *lines = file.read_text().splitlines()
    lines[20] = lines[20].rsplit(",", 1)[0] + ",x"
    file.write_text("\n".join([header, *reversed(lines)]) + "\n")
    assert set(reasons(read_mimic(file)).values()) == {"label value is not 1, 0, -1 or blank"}
    assert f"chexpert.csv: row 10: column '{FINDINGS[-1]}' holds 'x'" in said[0]


@with_xrv
def test_mimic_reads_as_torchxrayvision_does(tmp_path: Path):
    torchxrayvision = importlib.import_module("torchxrayvision")

    file = mimic_jpg(tmp_path)
    images = tmp_path / "mimic-cxr-2.0.0-metadata.csv"
    # It asks for the date of a study
    pd.read_csv(images).assign(StudyDate=21500101).to_csv(images, index=False)
    table = read_mimic(file)
    oracle = torchxrayvision.datasets.MIMIC_Dataset(
        "nowhere", str(file), str(images), views=["PA", "LATERAL"], unique_patients=False
    )
    names = [{"Effusion": "Pleural Effusion"}.get(str(name), str(name)) for name in oracle.pathologies]
    order = table.rows.set_index("image").index.get_indexer(oracle.csv["dicom_id"] + ".jpg")
    ours = as_floats(table.matrix(names))[order]
    # Of normal studies it also calls devices absent, which the labeller's "no finding" says nothing of
    devices = names.index("Support Devices")
    normal = (oracle.csv["No Finding"] == 1).to_numpy()
    np.testing.assert_array_equal(np.delete(ours, devices, axis=1), np.delete(oracle.labels, devices, axis=1))
    np.testing.assert_array_equal(ours[~normal, devices], oracle.labels[~normal, devices])


def vindr_rows(*votes: tuple[str, str, str]) -> list[dict[str, str]]:
    return [{"image_id": image, "rad_id": reader, "ILD": vote, "No finding": "0"} for image, reader, vote in votes]


@pytest.mark.parametrize("reader", ["rad_id", "rad_ID"])
def test_vindr_majority(reader: str, tmp_path: Path):
    """The second is how VinDr-PCXR calls it."""
    rows = vindr_rows(
        *(("a", f"R{n}", vote) for n, vote in enumerate("110")),
        *(("b", f"R{n}", vote) for n, vote in enumerate("100")),
        *(("c", f"R{n}", vote) for n, vote in enumerate("10")),
        ("d", "R1", "1"),
        ("d", "R1", "1"),
        ("e", "R1", "?"),
        ("f", "R1", ""),
    )
    path = write_rows(tmp_path / "image_labels_train.csv", ["image_id", "rad_id", "ILD", "No finding"], rows)
    path.write_text(path.read_text().replace("rad_id", reader))
    table = read_vindr(path)
    assert table.rows["image"].to_list() == ["a.dicom", "b.dicom", "c.dicom", "f.dicom"]
    assert table.matrix(["ILD"])[:, 0].tolist() == [1, 0, -1, -1]
    assert table.settled("positive", "unknown").matrix(["ILD"])[:, 0].tolist() == [1, 0, 1, -1]
    assert reasons(table) == {4: "a reader twice", 5: "label value is not 1, 0, -1 or blank"}
    assert set(table.rows["projection"]) == {"PA"}


@with_xrv
def test_vindr_reads_as_torchxrayvision_does_where_readers_agree(tmp_path: Path):
    """Its classes are marked by any reader, ours by most: with readers of one mind these are the same."""
    torchxrayvision = importlib.import_module("torchxrayvision")

    root = tmp_path / "vindr"
    root.mkdir()
    labels = pd.read_csv(vindr(root).labels / "image_labels_test.csv").set_index("image_id")
    marks = [
        {"image_id": image, "class_name": name, "rad_id": f"R{reader}"}
        for image, row in labels.iterrows()
        for name in labels.columns[row.to_numpy() == 1]
        for reader in range(3)
    ]
    boxes = tmp_path / "annotations_train.csv"
    pd.DataFrame(marks).to_csv(boxes, index=False)
    oracle = torchxrayvision.datasets.VinDr_Dataset(str(tmp_path), str(boxes))
    votes = labels.rename(columns={"Other disease": "Other diseases"}).reset_index()
    readings = pd.concat([votes.assign(rad_id=f"R{reader}") for reader in range(3)])
    readings.to_csv(tmp_path / "image_labels_train.csv", index=False)
    table = read_vindr(tmp_path / "image_labels_train.csv")
    spelled = {
        "Effusion": "Pleural effusion",
        "Pleural_Thickening": "Pleural thickening",
        "Other Lesion": "Other lesion",
    }
    spelled |= {"Pulmonary Fibrosis": "Pulmonary fibrosis"}
    names = [spelled.get(str(name), str(name)) for name in oracle.pathologies]
    assert set(names) <= set(VINDR_FINDINGS)
    order = table.rows.set_index("patient").index.get_indexer(oracle.csv["image_id"])
    np.testing.assert_array_equal(as_floats(table.matrix(names))[order], oracle.labels)


def folder_file(path: Path, columns: str, *rows: str) -> Path:
    (path / "mine.csv").write_text("\n".join([columns, *rows]) + "\n")
    return path / "mine.csv"


def test_folder_with_a_column_a_finding(tmp_path: Path):
    file = folder_file(
        tmp_path, "image,patient,sex,split,mass,dai",
        "a.png,1,F,train,1,-1", r"x\b.png,2,,,0,", "x/c.png,2,,validation,1,1", "../d.png,3,,,1,1", ",4,,,1,1",
        "e.png,,,,1,0", "f.png,5,,,,",
    )  # fmt: skip
    table = read_folder(file)
    assert reasons(table) == {
        4: "image name is a path",
        5: "image name missing",
        6: "patient id missing",
        7: "no label",
    }
    assert table.rows["image"].to_list() == ["a.png", "x_b.png", "x_c.png"]
    assert table.rows["split"].to_list() == ["train", "", "val"]
    assert table.matrix(["mass", "dai"]).tolist() == [[1, -1], [0, -1], [1, 1]]
    assert table.settled("positive", "unknown").matrix(["dai"])[:, 0].tolist() == [1, -1, 1]
    found, _ = match_files(table.rows, pd.Series(["a.png", "deep/x/b.png", "y/c.png"]))
    assert found.tolist() == ["a.png", "deep/x/b.png", ""]


def test_folder_with_a_column_of_names(tmp_path: Path):
    file = folder_file(
        tmp_path, "image,patient,labels,hospital", "a.png,1,mass| dai|mass,x", "b.png,2,normal,y", "c.png,3,,z"
    )
    table = read_folder(file)
    assert reasons(table) == {3: "labels missing"}
    assert table.matrix(["mass", "dai", "normal"]).tolist() == [[1, 1, 0], [0, 0, 1]]
    assert table.normal == "normal"


@pytest.mark.parametrize(
    ("columns", "row", "message"),
    [
        ("image,mass", "a.png,1", "column 'patient' is missing; a label table of one's own"),
        (
            "Image,Patient,Labels",
            "a.png,1,mass",
            r"column 'image' is missing; .* columns image, patient; found: Image, Patient, Labels; rename 'Image' to",
        ),
        ("image,patient,labels", "a.png,1,ma\x1b[2Jss", r"row 1: labels 'ma\\x1b\[2Jss' holds a character"),
        ("image,patient", "a.png,1", "has no labels; give a column 'labels'"),
        (
            "image,patient,weight,mass",
            "a.png,1,58,1",
            "row 1: column 'weight' holds '58'; a column other than image, patient",
        ),
        ("image,patient,split,mass", "a.png,1,dev,1", "row 1: split 'dev' is unknown; it must be train, val or test"),
        ("image,patient,mass", "a.png,1.2e+10,1", r"row 1: patient '1\.2e\+10' is a rounded number"),
    ],
)
def test_a_table_of_ones_own_that_is_wrong_is_one_line(tmp_path: Path, columns: str, row: str, message: str):
    with pytest.raises(InputError, match=rf"mine\.csv: {message}") as caught:
        read_folder(folder_file(tmp_path, columns, row))
    assert str(caught.value).isprintable()


def built(table: LabelTable, **changes: Any) -> Labels:
    return build_labels(table, manifest_of(table.rows["image"]), labels_params(**changes))


def test_policies_decide_on_uncertain_and_on_blank_labels_each_alone(tmp_path: Path):
    splits = ("train", "val", "test")
    rows = [f"{n}.png,{n},{splits[n % 3]},1,{('1', '0', '-1', '')[n % 4]}" for n in range(24)]
    table = read_folder(folder_file(tmp_path, "image,patient,split,mass,dai", *rows))
    known = [("1", "0", "-1", "")[int(name.removesuffix(".png")) % 4] for name in sorted(table.rows["image"])]
    for policy, value in {"unknown": -9, "positive": 1, "negative": 0}.items():
        labels = built(table, uncertain=policy)
        expected = [{"1": 1, "0": 0, "-1": value, "": -9}[text] for text in known]
        assert labels.labels["dai"].astype(object).fillna(-9).to_list() == expected
        assert labels.labels["mass"].to_list() == [1] * 24
        assert labels.metrics["uncertain_labels"] == 6
    labels = built(table, missing="negative")
    expected = [{"1": 1, "0": 0, "-1": -9, "": 0}[text] for text in known]
    assert labels.labels["dai"].astype(object).fillna(-9).to_list() == expected
    (dai,) = (entry for entry in built(table).classes["classes"] if entry["name"] == "dai")
    assert dai["prevalence"] == 0.5


def test_a_patient_whom_the_table_puts_in_two_splits_stops(tmp_path: Path):
    rows = ["a.png,1,train,1", "b.png,2,val,1", "c.png,1,test,1"]
    table = read_folder(folder_file(tmp_path, "image,patient,split,mass", *rows))
    with pytest.raises(InputError, match=r"mine\.csv: patient '1' is listed in several splits \(test, train\)"):
        built(table)


def test_a_row_that_is_left_out_still_states_the_split_of_its_patient(tmp_path: Path):
    header, views = "image,patient,projection,split,mass", ("PA", "L")
    patients = [(n, view, "test" if n < 20 and view == "L" else "") for n in range(60) for view in views]
    rows = [f"{n}{view}.png,{n},{view},{split},1" for n, view, split in patients]
    table = read_folder(folder_file(tmp_path, header, *rows))
    for projections in (("PA",), None):
        labels = built(table, projections=projections).labels
        assert set(labels.loc[labels["split"] == "test", "patient"]) == set(map(str, range(20)))
    other = [row.replace("PA,,", "PA,train,") for row in rows]
    table = read_folder(folder_file(tmp_path, header, *other))
    with pytest.raises(InputError, match=r"mine\.csv: patient '0' is listed in several splits \(test, train\)"):
        built(table, projections=("PA",))
    # Where all images of a split are left out, the others are split by seed
    alone = [f"{n}.png,{n},{'L' if n < 20 else 'PA'},{'test' if n < 20 else ''},1" for n in range(60)]
    table = read_folder(folder_file(tmp_path, header, *alone))
    assert set(built(table, projections=("PA",), test_fraction=0.3).labels["split"]) == {"train", "val", "test"}


def test_patients_without_a_split_go_where_nobody_is_named(tmp_path: Path):
    rows = [f"{n}.png,{n},{'test' if n < 10 else ''},1" for n in range(200)]
    table = read_folder(folder_file(tmp_path, "image,patient,split,mass", *rows))
    split = built(table, validation_fraction=0.5, test_fraction=0.4).labels.set_index("image")["split"]
    assert set(split.index[split == "test"]) == {f"{n}.png" for n in range(10)}
    assert (split == "val").sum() == pytest.approx(95, abs=35)


def test_the_official_test_list_of_nih(tmp_path: Path):
    header = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"
    file = tmp_path / "Data_Entry_2017_v2020.csv"
    file.write_text(header + "".join(f"{n:02d}.png,Mass,0,{n},58,M,PA\n" for n in range(40)))
    seeded = built(read_nih(file)).labels
    (tmp_path / "test_list.txt").write_text("03.png\r\n05.png\n")
    labels = built(read_nih(file)).labels
    assert labels.loc[labels["split"] == "test", "image"].to_list() == ["03.png", "05.png"]
    assert (seeded["split"] == "test").sum() > 2
