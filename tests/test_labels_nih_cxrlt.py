"""NIH's and CXR-LT's label files."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from tests.labels_files import NIH_2017_COLUMNS, NIH_2020_COLUMNS, write_rows
from trcgl.labels.boxes import read_boxes
from trcgl.labels.cxrlt import read_cxrlt
from trcgl.labels.nih import read_nih
from trcgl.labels.table import LabelTable
from trcgl.places.masks import agreed_mask
from trcgl.runtime.errors import InputError
from trcgl.tables import read_columns


def nih_row(name: str, labels: str, age: str = "58", patient: str = "1", sex: str = "M") -> dict[str, str]:
    return {
        "Image Index": name,
        "Finding Labels": labels,
        "Follow-up #": "3",
        "Patient ID": patient,
        "Patient Age": age,
        "Patient Gender": sex,
        "View Position": "AP",
    }


def pairs(table: LabelTable) -> list[tuple[int, str]]:
    return list(zip(table.positives["row"], table.positives["label"].astype(str), strict=True))


def reasons(table: LabelTable) -> dict[int, str]:
    return dict(zip(table.rejected["row"], table.rejected["reason"], strict=True))


@pytest.mark.parametrize("columns", [NIH_2017_COLUMNS, NIH_2020_COLUMNS])
def test_nih_both_editions(tmp_path: Path, columns: list[str]) -> None:
    rows = [
        nih_row("a.png", "Mass| Pleural_Thickening|Mass", age="058Y"),
        nih_row("b.png", "No Finding", age="011M", patient="007"),
        nih_row("c.png", "", age="60"),
        nih_row("d.png", "Mass", age="414"),
        nih_row("d.png", "Mass", age="414"),
        nih_row("x/e.png", "Mass"),
    ]
    table = read_nih(write_rows(tmp_path / "nih.csv", columns, rows))
    assert pairs(table) == [(1, "Mass"), (1, "Pleural_Thickening"), (2, "No Finding"), (4, "Mass")]
    assert reasons(table) == {3: "labels missing", 5: "duplicate image name", 6: "image name is a path"}
    assert table.rows["patient"].to_list() == ["1", "007", "1"]
    assert table.rows["study"].to_list() == ["1_3", "007_3", "1_3"]
    assert table.rows["age"].astype(object).fillna(-1).to_list() == [58, 0, -1]
    assert set(table.rows["projection"]) == {"AP"}
    assert set(table.rows["sex"]) == {"M"}


def test_a_table_with_both_columns_of_sex_has_each_once(tmp_path: Path) -> None:
    columns = [*NIH_2020_COLUMNS, "Patient Sex" if "Patient Gender" in NIH_2020_COLUMNS else "Patient Gender"]
    rows = [{**nih_row("a.png", "Mass"), "Patient Gender": "F", "Patient Sex": "F"},
            {**nih_row("b.png", "Mass"), "Patient Gender": "", "Patient Sex": "M"}]  # fmt: skip
    table = read_nih(write_rows(tmp_path / "nih.csv", columns, rows))
    assert table.rows["sex"].tolist() == ["F", "M"]


def test_nih_missing_column(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "nih.csv", ["Image Index", "Patient ID"], [nih_row("a.png", "Mass")])
    with pytest.raises(InputError, match=r"nih\.csv: column 'Finding Labels' is missing; an NIH ChestX-ray14 label"):
        read_nih(file)


CXRLT_COLUMNS = ["ImageID", "StudyDate_DICOM", "PatientID", "Normal", "Mass", "azygos lobe"]


def cxrlt_row(name: str, *values: str, patient: str = "12345678901234567890123456789012345678") -> dict[str, str]:
    about = {"ImageID": name, "StudyDate_DICOM": "20140915", "PatientID": patient}
    return about | dict(zip(CXRLT_COLUMNS[3:], values, strict=True))


def test_cxrlt_package(tmp_path: Path) -> None:
    rows = [
        cxrlt_row("a.png", "0", "1.0", "0"),
        cxrlt_row("b.png", "1", "", "-1"),
        cxrlt_row("c.png", "1", "0", "0"),
        cxrlt_row("d.png", "1", "0", "0"),
        cxrlt_row("e.png", "2", "0", "0"),
        cxrlt_row("f.png", "", "", "nan"),
        cxrlt_row("g.png", "0", "0", "0.0"),
        cxrlt_row("g.png", "0", "", "0"),
    ]
    write_rows(tmp_path / "train.csv", CXRLT_COLUMNS, rows)
    write_rows(tmp_path / "corrupted_images.csv", ["ImageID"], [{"ImageID": "c.png"}])
    write_rows(tmp_path / "Removal.csv", ["n", "ImageID"], [{"ImageID": "d.png"}, {"ImageID": "elsewhere.png"}])
    table = read_cxrlt(tmp_path)
    assert reasons(table) == {
        3: "listed in corrupted_images.csv",
        4: "listed in Removal.csv",
        5: "label value is not 1, 0, -1 or blank",
        6: "no label",
        7: "image listed with contradicting rows",
        8: "image listed with contradicting rows",
    }
    assert table.vocabulary == ["Normal", "Mass", "azygos lobe"]
    assert table.matrix(table.vocabulary).tolist() == [[0, 1, 0], [1, -1, -1]]
    assert table.rows["patient"].to_list() == ["12345678901234567890123456789012345678"] * 2
    assert read_cxrlt(tmp_path / "train.csv").rows.equals(table.rows)


def test_cxrlt_bad_files(tmp_path: Path) -> None:
    names = (tmp_path / f"{number}.csv" for number in itertools.count())
    rounded = write_rows(next(names), CXRLT_COLUMNS, [cxrlt_row("a.png", "0", "1", "0", patient="3.24e+38")])
    with pytest.raises(InputError, match=r"row 1: PatientID '3\.24e\+38' is a rounded number, so different ids"):
        read_cxrlt(rounded)
    wordy = write_rows(
        next(names), [*CXRLT_COLUMNS, "Hospital"], [cxrlt_row("a.png", "0", "1", "0") | {"Hospital": "x"}]
    )
    with pytest.raises(InputError, match="column 'Hospital' holds no 0 or 1"):
        read_cxrlt(wordy)
    bare = write_rows(next(names), CXRLT_COLUMNS[:3], [cxrlt_row("a.png", "0", "1", "0")])
    with pytest.raises(InputError, match="has no column of a finding"):
        read_cxrlt(bare)
    with pytest.raises(InputError, match=r"train\.csv: cannot be read"):
        read_cxrlt(tmp_path)
    write_rows(tmp_path / "train.csv", CXRLT_COLUMNS, [cxrlt_row("a.png", "0", "1", "0")])
    write_rows(tmp_path / "Removal.csv", ["image"], [{"image": "a.png"}])
    with pytest.raises(InputError, match=r"Removal\.csv: column 'ImageID' is missing"):
        read_cxrlt(tmp_path)


@pytest.mark.parametrize("head", [",,,", ""])
@pytest.mark.parametrize("end", [",,,", ""])
def test_boxes_have_commas_at_the_end_or_not(tmp_path: Path, head: str, end: str):
    """NIH's list has both, the copy in torchxrayvision a header with them and rows without."""
    file = tmp_path / "BBox_List_2017.csv"
    file.write_text(
        f"Image Index,Finding Label,Bbox [x,y,w,h]{head}\na.png,Infiltrate,1,2.5,3,4{end}\nb.png,Mass,5,6,7,8\n"
    )
    boxes = read_boxes(file).boxes
    assert boxes[["image", "finding"]].to_numpy().tolist() == [["a.png", "Infiltration"], ["b.png", "Mass"]]
    assert boxes[["x", "y", "w", "h", "width"]].to_numpy().tolist() == [[1, 2.5, 3, 4, 1024], [5, 6, 7, 8, 1024]]


@pytest.mark.parametrize("end", ["", ","])
def test_labels_with_a_comma_that_is_not_quoted_stop(end: str, tmp_path: Path):
    header = ",".join(NIH_2017_COLUMNS)
    good = "b.png,Mass,0,2,058Y,M,PA,2682,2749,0.143,0.143"
    (tmp_path / "t.csv").write_text(f"{header}\n{good}{end}\na.png,Mass,Nodule,0,1,058Y,M,PA,2682,2749,0.143,\n")
    with pytest.raises(InputError, match=r"t.csv: row 2: 'Follow-up #' is 'Nodule', no whole number"):
        read_nih(tmp_path / "t.csv")


def test_boxes_of_vindr(tmp_path: Path):
    """Corners become sizes; rows of no finding have none; the place of several readers is what half of them marked."""
    file = tmp_path / "train.csv"
    lines = ["a,R1,Mass,0,0,40,100", "a,R2,Mass,20,0,60,100", "a,R3,Mass,30,0,80,100", "b,R1,No finding,,,,"]
    file.write_text("image_id,rad_id,class_name,x_min,y_min,x_max,y_max\n" + "\n".join(lines))
    table = read_boxes(file)
    boxes = table.boxes
    assert table.rows == 4
    assert boxes[["row", "x", "w"]].to_numpy().tolist() == [[1, 0, 40], [2, 20, 40], [3, 30, 50]]
    place = agreed_mask(boxes.assign(width=1024.0, height=512.0))
    assert place.shape == (512, 1024)
    assert np.flatnonzero(place.any(axis=0)).tolist() == list(range(20, 60))
    file.write_text("image_id,rad_id,class_name,x_min,y_min,x_max,y_max\na,R1,Mass,9,0,4,1\n")
    with pytest.raises(InputError, match="row 1: the box of 'a' is not four numbers with x_min"):
        read_boxes(file)


def test_a_value_with_a_line_separator_of_unicode_is_one_value_in_a_table_with_commas_at_the_end(tmp_path: Path):
    file = tmp_path / "t.csv"
    file.write_text("a,b,report,,\n1,x,first\u2028second\n2,y,\x85\x0c\n")
    assert read_columns(file, ["a", "b"], what="a table").to_numpy().tolist() == [["1", "x"], ["2", "y"]]


@pytest.mark.parametrize("end", ["", ",", ",,", ",,,,"])
def test_a_value_of_two_lines_in_a_table_with_commas_at_the_end(tmp_path: Path, end: str):
    file = tmp_path / "t.csv"
    file.write_text(f'a,b,report,,\n1,x,"two\nlines"{end}\n2,y,one{end}\n')
    assert read_columns(file, ["a", "b"], what="a table").to_numpy().tolist() == [["1", "x"], ["2", "y"]]
