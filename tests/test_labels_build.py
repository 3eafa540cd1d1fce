"""From label table and manifest to the stage's products."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.labels_files import labels_params, manifest_of, padchest_row, write_padchest, write_rows
from trcgl.labels.adapters import read_table
from trcgl.labels.build import Labels, build_labels
from trcgl.labels.cxrlt import read_cxrlt
from trcgl.labels.merging import merge_labels, read_class_table
from trcgl.labels.padchest import read_padchest
from trcgl.labels.selection import Filters, select_images
from trcgl.labels.table import LabelTable
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_json

NAMES = ("nodule", "mass", "scoliosis", "dai")


def hospital(path: Path, size: int = 400, patients: int = 150, seed: int = 0) -> Path:
    """Invented rows: several images a patient, findings of falling frequency, all kinds of projections and methods."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(size):
        labels = [name for i, name in enumerate(NAMES) if random.random() < 0.4 / 2**i] or ["normal"]
        rows.append(
            padchest_row(
                number,
                repr(labels),
                PatientID=f"p{random.integers(patients)}",
                Projection=str(random.choice(["PA", "L", "AP"])),
                MethodLabel=str(random.choice(["Physician", "RNN_model"])),
            )
        )
    return write_padchest(path / "hospital.csv", rows)


@pytest.fixture
def table(tmp_path: Path) -> LabelTable:
    return read_padchest(hospital(tmp_path))


@pytest.fixture
def manifest(table: LabelTable) -> pd.DataFrame:
    return manifest_of(table.rows["folder"] + "/" + table.rows["image"])


def small_table(path: Path, *labels: str, **changes: str) -> LabelTable:
    rows = [padchest_row(number, text, **changes) for number, text in enumerate(labels)]
    return read_padchest(write_padchest(path / "small.csv", rows))


def three_splits(path: Path, size: int) -> Path:
    """Patients p0, p1, ... in train, val, test, train, ..."""
    rows = [{"patient": f"p{n}", "split": ("train", "val", "test")[n % 3]} for n in range(size)]
    return write_rows(path / "three.csv", ["patient", "split"], rows)


def flat(table: LabelTable) -> pd.DataFrame:
    return manifest_of("images/" + table.rows["image"])


def reasons(built: Labels) -> dict[int, str]:
    return dict(zip(built.rejected["row"], built.rejected["reason"], strict=True))


def test_products_agree_with_counting_by_hand(table: LabelTable, manifest: pd.DataFrame) -> None:
    built = build_labels(table, manifest, labels_params(projections=("PA", "AP"), methods=("Physician",)))
    wanted = table.rows[table.rows["projection"].isin(["PA", "AP"]) & (table.rows["method"] == "Physician")]
    assert built.labels["image"].to_list() == sorted(wanted["image"])
    assert built.selected["image"].to_list() == built.labels["image"].to_list()
    assert set(built.selected["path"]) <= set(manifest["path"])
    names = [entry["name"] for entry in built.classes["classes"]]
    assert list(built.labels.columns) == ["image", "patient", "study", "projection", "sex", "age", "split", *names]
    positives: dict[tuple[str, str], int] = {}
    for row in built.labels.itertuples():
        number = table.rows.loc[table.rows["image"] == row.image, "row"].item()
        for name in table.positives.loc[table.positives["row"] == number, "label"]:
            key = (str(row.split), str(name))
            positives[key] = positives.get(key, 0) + 1
    for entry in built.classes["classes"]:
        name, counts = entry["name"], entry["positives"]
        assert counts == {split: positives.get((split, name), 0) for split in ("train", "val", "test")}
        assert counts == built.labels.groupby("split")[name].sum().to_dict()
        assert entry["prevalence"] == counts["train"] / (built.labels["split"] == "train").sum()
    trained = [(-entry["positives"]["train"], entry["name"]) for entry in built.classes["classes"]]
    assert trained == sorted(trained)
    metrics = built.metrics
    assert (
        metrics["rows"]
        == 400
        == metrics["kept"] + metrics["rejected"]["total"]
        == len(built.labels) + len(built.rejected)
    )
    assert metrics["images"] == built.labels["split"].value_counts().to_dict()
    assert metrics["patients"] == built.labels.groupby("split")["patient"].nunique().to_dict()
    assert sum(metrics["findings"].values()) == len(names)


def test_a_patient_is_in_one_split_and_stays_there_when_rows_are_added(tmp_path: Path, table: LabelTable) -> None:
    (tmp_path / "more").mkdir()
    more = read_padchest(hospital(tmp_path / "more", size=600))
    before = build_labels(table, flat(table), labels_params()).labels
    after = build_labels(more, flat(more), labels_params()).labels
    assert (before.groupby("patient")["split"].nunique() == 1).all()
    assert (after.groupby("patient")["split"].nunique() == 1).all()
    assert (
        before.set_index("patient")["split"].to_dict().items() <= after.set_index("patient")["split"].to_dict().items()
    )


def test_the_selection_knows_nothing_of_splits_and_classes(
    tmp_path: Path, table: LabelTable, manifest: pd.DataFrame
) -> None:
    plain = build_labels(table, manifest, labels_params()).selected
    changes: list[dict[str, Any]] = [
        {"split_seed": 5, "validation_fraction": 0.3},
        {"min_positives": 20, "head_above": 0.5, "tail_below": 0.2, "tail_findings": ("mass",)},
        {"findings": ("mass", "nodule"), "not_findings": ()},
    ]
    for change in changes:
        assert build_labels(table, manifest, labels_params(**change)).selected.equals(plain)
    by_file = build_labels(table, manifest, labels_params(), three_splits(tmp_path, 400))
    assert by_file.selected.equals(plain)


def test_validation_and_test_labels_decide_nothing(tmp_path: Path) -> None:
    labels = ["['mass']", "['nodule']", "['mass', 'nodule']", "['nodule']", "['mass']", "['mass']"] * 4
    changed = [text if n % 3 == 0 else "['mass', 'nodule', 'dai']" for n, text in enumerate(labels)]
    file = three_splits(tmp_path, len(labels))
    tables = [small_table(tmp_path, *labels), small_table(tmp_path, *changed)]
    first, second = (build_labels(table, flat(table), labels_params(), file).classes["classes"] for table in tables)
    assert [{**entry, "positives": entry["positives"]["train"]} for entry in first] == [
        {**entry, "positives": entry["positives"]["train"]} for entry in second
    ]


def test_rejections(tmp_path: Path) -> None:
    rows = [
        padchest_row(0, "['mass']"),
        padchest_row(1, "['mass']"),
        padchest_row(2, "['mass']"),
        padchest_row(3, "['mass']", Projection="L"),
        padchest_row(4, "['mass']", MethodLabel="RNN_model"),
        padchest_row(5, "['mass', 'suboptimal study']"),
        padchest_row(6, "['mass']"),
        padchest_row(7, "['mass']"),
        padchest_row(8, "nan"),
        padchest_row(9, "['normal', 'mass', 'unchanged']"),
        padchest_row(10, "['normal', 'unchanged']"),
    ]
    table = read_padchest(write_padchest(tmp_path / "labels.csv", rows))
    paths = [f"images/im{number:04d}.png" for number in range(11) if number != 6] + ["images/xim0006.png", "im0006.jpg"]
    params = labels_params(projections=("PA",), methods=("Physician",))
    built = build_labels(table, manifest_of(paths), params, three_splits(tmp_path, 12))
    assert reasons(built) == {
        4: "projection not selected",
        5: "labelling method not selected",
        6: "labelled suboptimal study",
        7: "image file missing",
        9: "labels missing",
    }
    assert built.metrics["rejected"]["labelled_suboptimal_study"] == 1
    assert built.metrics["normal_beside_finding"] == 1
    assert [entry["name"] for entry in built.classes["classes"]] == ["mass"]
    assert built.labels["mass"].to_list() == [1, 1, 1, 1, 1, 0]


def test_files_of_one_name_differ_by_folder(tmp_path: Path) -> None:
    table = small_table(tmp_path, *["['mass']"] * 9)
    paths = [f"{number % 3}/im{number:04d}.png" for number in range(9)]
    # im0003: also in another folder; im0004: twice in folders that are not its own; im0005: twice in its own
    paths += ["7/im0003.png", "8/im0004.png", "9/im0004.png", "a/2/im0005.png", "im0006.png"]
    paths.remove("1/im0004.png")
    built = build_labels(table, manifest_of(paths), labels_params(), three_splits(tmp_path, 9))
    assert reasons(built) == {5: "image file is ambiguous", 6: "image file is ambiguous"}
    chosen = dict(zip(built.selected["image"], built.selected["path"], strict=True))
    assert chosen["im0003.png"] == "0/im0003.png"
    assert chosen["im0006.png"] == "0/im0006.png"


def test_rare_findings_are_dropped_and_counted(tmp_path: Path) -> None:
    table = small_table(tmp_path, "['mass', 'dai']", "['mass']", "['mass', 'nodule']", "['mass']", "['mass', 'nodule']")
    built = build_labels(table, flat(table), labels_params(min_positives=2), three_splits(tmp_path, 5))
    assert [entry["name"] for entry in built.classes["classes"]] == ["mass"]
    assert built.classes["dropped"] == {"dai": 1, "nodule": 0}
    assert built.metrics["dropped_findings"] == 2
    assert built.metrics["findings"] == {"head": 1, "medium": 0, "tail": 0}


def test_a_listed_finding_that_is_too_rare_is_said(tmp_path: Path, said: list[str]) -> None:
    table = small_table(tmp_path, "['mass', 'dai']", "['mass']", "['mass', 'nodule']", "['mass']", "['mass', 'nodule']")
    params = labels_params(min_positives=2, tail_findings=("nodule", "mass"))
    build_labels(table, flat(table), params, three_splits(tmp_path, 5))
    lines = [line for line in said if "is no class" in line]
    assert len(lines) == 1
    assert "'nodule' of 'labels.findings' or 'labels.tail_findings'" in lines[0]
    assert "0 positive training images, and 'labels.min_positives' is 2" in lines[0]


@pytest.mark.parametrize(
    ("narrowed", "key"),
    [({"findings": ("mass",)}, "'labels.findings' does not have it"),
     ({"not_findings": ("nodule",)}, "'labels.not_findings' has it")],
)  # fmt: skip
def test_a_tail_finding_that_is_left_out_elsewhere_is_said(
    tmp_path: Path, said: list[str], narrowed: dict[str, Any], key: str
) -> None:
    table = small_table(tmp_path, *["['mass', 'nodule']", "['mass']", "['nodule']", "['mass']", "['mass']"] * 4)
    params = labels_params(min_positives=1, tail_findings=("nodule", "mass"), **narrowed)
    build_labels(table, flat(table), params, three_splits(tmp_path, 20))
    assert [line.partition(": ")[2] for line in said if "is no class" in line] == [
        f"'nodule' of 'labels.tail_findings' is no class: {key}"
    ]


def test_a_tail_list_overrides_the_cut_off(table: LabelTable, manifest: pd.DataFrame) -> None:
    params = labels_params(tail_findings=("nodule",), head_above=0.15, tail_below=0.15)
    groups = {e["name"]: e["group"] for e in build_labels(table, manifest, params).classes["classes"]}
    assert groups == {"nodule": "tail", "mass": "head", "scoliosis": "medium", "dai": "medium"}


def test_unknown_labels_stay_unknown(tmp_path: Path) -> None:
    columns = ["ImageID", "PatientID", "Normal", "Mass", "Nodule"]
    values = [("0", "1", ""), ("0", "1", "-1"), ("1", "1", "1"), ("1", "0", "1"), ("1", "0", "0"), ("0", "1", "0")]
    values.append(("0", "1", "0"))
    rows = [dict(zip(columns, (f"{n}.png", f"p{n}", *v), strict=True)) for n, v in enumerate(values)]
    table = read_cxrlt(write_rows(tmp_path / "train.csv", columns, rows))
    built = build_labels(table, flat(table), labels_params(not_findings=()), three_splits(tmp_path, 7))
    assert built.labels["Nodule"].dtype == pd.Int8Dtype()
    assert built.labels["Nodule"].astype(object).fillna(-1).to_list() == [-1, -1, 1, 1, 0, 0, 0]
    (nodule,) = (entry for entry in built.classes["classes"] if entry["name"] == "Nodule")
    # Of three training images one is unknown
    assert nodule["prevalence"] == 0.5
    # The class Normal says what the file says, also beside a finding
    assert built.labels["Normal"].to_list() == [0, 0, 1, 1, 1, 0, 0]
    assert built.metrics["normal_beside_finding"] == 2
    built.write(tmp_path / "out")
    again = pd.read_parquet(tmp_path / "out" / "labels.parquet")
    pd.testing.assert_frame_equal(again, built.labels)
    assert read_json(tmp_path / "out" / "classes.json") == built.classes
    assert pd.read_parquet(tmp_path / "out" / "selected.parquet").equals(built.selected)
    assert pd.read_parquet(tmp_path / "out" / "rejected.parquet").columns.to_list() == ["row", "image", "reason"]


def test_same_input_same_bytes(tmp_path: Path, table: LabelTable, manifest: pd.DataFrame) -> None:
    for name in ("a", "b"):
        build_labels(table, manifest, labels_params()).write(tmp_path / name)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def error(table: LabelTable, manifest: pd.DataFrame, split_file: Path | None = None, **changes: Any) -> str:
    with pytest.raises(InputError) as caught:
        build_labels(table, manifest, labels_params(**changes), split_file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_impossible_wishes_stop_with_one_line(tmp_path: Path, table: LabelTable, manifest: pd.DataFrame) -> None:
    assert "no label 'nodul'; did you mean 'nodule' or 'normal'?" in error(table, manifest, findings=("mass", "nodul"))
    assert "hospital.csv has no label 'Dai'; did you mean 'dai'?" in error(table, manifest, tail_findings=("Dai",))
    assert "has: 'AP', 'L', 'PA'" in error(table, manifest, projections=("POSTEROANTERIOR",))
    assert "'labels.methods' (radiologist) leaves no row" in error(table, manifest, methods=("radiologist",))
    assert "no image is left of 400 rows (image file missing: 400)" in error(table, manifest_of(["other.png"]))
    assert "the val split has no image" in error(table, manifest, validation_fraction=0.0)
    assert "no finding has 999 positives" in error(table, manifest, min_positives=999)
    strangers = write_rows(tmp_path / "s.csv", ["patient", "split"], [{"patient": "x", "split": "test"}])
    assert "s.csv: lists none of the label table's patients" in error(table, manifest, strangers)
    assert "three.csv: lists 95 of the 142 patients of the label table, not 'p136'; add the missing ones" in error(
        table, manifest, three_splits(tmp_path, 100)
    )


@pytest.mark.parametrize(("uncertain", "left"), [("unknown", 3), ("negative", 3), ("positive", 2)])
def test_a_label_that_counts_as_present_excludes_its_image(tmp_path: Path, uncertain: str, left: int) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image,patient,mass,device\na.png,1,1,0\nb.png,2,0,-1\nc.png,3,1,1\nd.png,4,0,0\n")
    filters = Filters.from_params(labels_params(exclude_images_with=("device",), uncertain=uncertain))
    kept, _ = select_images(read_table("folder", path), manifest_of([f"{name}.png" for name in "abcd"]), filters)
    assert len(kept.rows) == left
    assert ("b.png" in kept.rows["image"].tolist()) == (uncertain != "positive")


def test_a_slip_in_a_filter_is_said(table: LabelTable, manifest: pd.DataFrame, said: list[str]) -> None:
    slips = {"exclude_images_with": ("nodul", "granite"), "projections": ("AP", "L", "PAA"), "methods": ("Phisician",)}
    assert "'labels.methods' (Phisician) leaves no row" in error(table, manifest, methods=slips.pop("methods"))
    build_labels(table, manifest, labels_params(**slips))
    assert said == [
        "'labels.exclude_images_with' names 'nodul', which no row has; if 'nodule' is meant, write 'nodule'",
        "'labels.projections' names 'PAA', which no row has; if 'PA' is meant, write 'PA'",
    ]


def test_a_split_without_any_positive_stops(tmp_path: Path) -> None:
    table = small_table(tmp_path, "['mass']", "['mass']", "['normal']", "['mass']")
    assert "the test split (1 images) has no positive of any class" in error(
        table, flat(table), three_splits(tmp_path, 4)
    )


def test_a_finding_named_as_another_column_stops(tmp_path: Path) -> None:
    table = small_table(tmp_path, *["['split']"] * 3)
    assert "a finding is called 'split'" in error(table, flat(table), three_splits(tmp_path, 3))


def class_table(path: Path, *rows: tuple[str, str]) -> Path:
    listed = ({"class": name, "padchest_labels": labels} for name, labels in rows)
    return write_rows(path / "classes.csv", ["class", "padchest_labels"], listed)


def test_labels_merge_into_classes(tmp_path: Path) -> None:
    table = small_table(tmp_path, "['nodule', 'mass']", "['multiple nodules']", "['dai']", "['pneumonia']")
    file = class_table(tmp_path, ("Nodule", "nodule|multiple nodules"), ("Any", "nodule| dai"), ("Rare", "unheard of"))
    merged = merge_labels(table, file)
    assert merged.vocabulary == ["Nodule", "Any"]
    assert merged.matrix(["Nodule", "Any"]).tolist() == [[1, 1], [1, 0], [0, 1], [0, 0]]


def test_a_class_table_makes_the_classes(tmp_path: Path, table: LabelTable, manifest: pd.DataFrame) -> None:
    file = class_table(tmp_path, ("Opacity", "nodule|mass"), ("Spine", "scoliosis"))
    merged = build_labels(table, manifest, labels_params(class_table=str(file)))
    fine = build_labels(table, manifest, labels_params())
    assert {entry["name"] for entry in merged.classes["classes"]} == {"Opacity", "Spine"}
    either = (fine.labels["nodule"] == 1) | (fine.labels["mass"] == 1)
    assert (merged.labels["Opacity"] == 1).tolist() == either.tolist()
    pd.testing.assert_frame_equal(merged.selected, fine.selected)


def test_class_tables_that_are_none_stop(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="row 2: a class needs a name and at least one label"):
        read_class_table(class_table(tmp_path, ("A", "a"), ("B", "")))
    with pytest.raises(InputError, match="row 2: class 'A' has a row already"):
        read_class_table(class_table(tmp_path, ("A", "a"), ("A", "b")))
    with pytest.raises(InputError, match="none of its labels occurs"):
        merge_labels(small_table(tmp_path, "['mass']"), class_table(tmp_path, ("A", "a")))


def test_a_merged_class_is_unknown_where_no_label_is_present_and_one_is_unknown(tmp_path: Path) -> None:
    rows = ["a.png,1,0,", "b.png,2,,0", "c.png,3,1,", "d.png,4,0,0", "e.png,5,0,-1"]
    (tmp_path / "t.csv").write_text("image,patient,mass,nodule\n" + "\n".join(rows) + "\n")
    table = read_table("folder", tmp_path / "t.csv").settled("unknown", "unknown")
    merged = merge_labels(table, class_table(tmp_path, ("Opacity", "mass|nodule")))
    assert merged.matrix(["Opacity"])[:, 0].tolist() == [-1, -1, 1, 0, -1]
