"""PadChest's label file: the list parser, the dirt of its rows, and files that are none."""

import ast
import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from matplotlib.patches import Rectangle
from PIL import Image

from tests.labels_files import PADCHEST_COLUMNS, padchest_row, write_padchest, write_rows
from trcgl.cli import main
from trcgl.labels.distribution import label_distribution
from trcgl.labels.padchest import parse_list, read_padchest
from trcgl.labels.report import label_counts
from trcgl.runtime.errors import InputError

text = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["", " ", "normal", " normal", "a'b", "x, y"]
)


@given(st.lists(text, max_size=6))
def test_a_written_list_reads_back_stripped_without_empty_ones_and_repetitions(labels: list[str]) -> None:
    expected: list[str] = []
    for label in labels:
        if label.strip() and label.strip() not in expected:
            expected.append(label.strip())
    assert parse_list(repr(labels)) == expected


def joined_by_python(written: str) -> bool:
    """Whether two texts stand side by side without a comma, so that Python makes one of them: by trying every place."""
    elements = getattr(ast.parse(written.strip(), mode="eval").body, "elts", [])

    def is_text(part: str) -> bool:
        try:
            return isinstance(ast.literal_eval(part), str)
        except (ValueError, SyntaxError):
            return False

    sources = [ast.get_source_segment(written.strip(), element) or "" for element in elements]
    return any(is_text(one[:at]) and is_text(one[at:]) for one in sources for at in range(1, len(one)))


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@given(
    st.text("[]'\", \\ab\n()1{}", max_size=14) | st.from_regex(r"\[('[ab\\\n, ]*'[ ,]{0,2}){0,3}\]?", fullmatch=True)
)
def test_any_text_reads_as_python_reads_it_but_joins_nothing(written: str) -> None:
    # Three quotes are one sign, which the oracle would cut
    assume("'''" not in written and '"""' not in written)
    try:
        value = ast.literal_eval(written)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        value = None
    if isinstance(value, list) and joined_by_python(written):
        assert parse_list(written) is None
    elif isinstance(value, list) and all(isinstance(label, str) for label in value):
        assert parse_list(written) == list(dict.fromkeys(part.strip() for part in value if part.strip()))
    else:
        assert parse_list(written) is None


@pytest.mark.parametrize(
    "written", ["nan", "", "[", "['a'", "'a'", "[1]", "[nan]", "['a', None]", "[" * 5000, "{'a'}", "['a' 'b']"]
)
def test_what_is_not_a_list_of_texts_is_none(written: str) -> None:
    assert parse_list(written) is None


def test_rows_with_dirt_are_rejected_with_their_reason_and_none_is_lost(tmp_path: Path) -> None:
    rows = [
        padchest_row(1, "[' nodule', '', 'nodule', 'COPD signs']", PatientID="9" * 39),
        padchest_row(2, "nan"),
        padchest_row(3, "['', ' ']"),
        padchest_row(4, "['nodule"),
        padchest_row(5, "['nodule']", ImageID=""),
        padchest_row(6, "['nodule']", ImageID="../im.png"),
        padchest_row(7, "['nodule']", ImageID="/etc/im.png"),
        padchest_row(8, "['nodule']", ImageID="a\\im.png"),
        padchest_row(9, "['nodule']", ImageID=".."),
        padchest_row(10, "['nodule']", PatientID="nan"),
        padchest_row(11, "['mass']", PatientBirth="", PatientSex_DICOM="nan"),
        padchest_row(11, "['mass']"),
        padchest_row(12, "['mass']"),
        padchest_row(12, "['nodule']"),
        padchest_row(13, "nan", ImageID="im0011.png", PatientID="p11"),
        padchest_row(14, "['normal', 'nodules']"),
    ]
    table = read_padchest(write_padchest(tmp_path / "labels.csv", rows))
    assert table.source_rows == len(rows) == len(table.rows) + len(table.rejected)
    assert dict(zip(table.rejected["row"], table.rejected["reason"], strict=True)) == {
        2: "labels missing",
        3: "no label",
        4: "labels are not a list of texts",
        5: "image name missing",
        6: "image name is a path",
        7: "image name is a path",
        8: "image name is a path",
        9: "image name is a path",
        10: "patient id missing",
        12: "duplicate image name",
        13: "image listed with contradicting rows",
        14: "image listed with contradicting rows",
        15: "labels missing",
    }
    assert table.rows["row"].to_list() == [1, 11, 16]
    assert table.rows["patient"].to_list() == ["9" * 39, "p11", "p14"]
    assert table.rows["age"].astype(object).fillna(-1).to_list() == [65, -1, 65]
    assert table.rows["sex"].to_list() == ["F", "", "F"]
    pairs = list(zip(table.positives["row"], table.positives["label"].astype(str), strict=True))
    assert pairs == [(1, "nodule"), (1, "COPD signs"), (11, "mass"), (16, "normal"), (16, "nodules")]
    # 'nodules' holds the text 'nodule' and is another label
    assert table.matrix(["mass", "nodule"]).tolist() == [[0, 1], [1, 0], [0, 0]]
    assert table.having(["nodule"]).tolist() == [True, False, False]


def test_gzip_is_known_by_content(tmp_path: Path) -> None:
    plain = write_padchest(tmp_path / "labels.csv", [padchest_row(1, "['mass']")])
    packed = tmp_path / "packed.csv"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_padchest(packed).rows.equals(read_padchest(plain).rows)


def test_a_byte_order_mark_is_not_part_of_a_name(tmp_path: Path) -> None:
    plain = write_rows(tmp_path / "plain.csv", PADCHEST_COLUMNS[1:], [padchest_row(1, "['mass']")])
    marked = tmp_path / "marked.csv"
    marked.write_bytes(b"\xef\xbb\xbf" + plain.read_bytes())
    assert read_padchest(marked).rows["image"].to_list() == ["im0001.png"]


def one_line(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_padchest(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message


def test_files_that_are_no_label_table(tmp_path: Path) -> None:
    def file(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    good = write_padchest(
        tmp_path / "good.csv", [padchest_row(1, "['mass']"), padchest_row(2, "['mass']")]
    ).read_bytes()
    assert "cannot be read (No such file" in one_line(tmp_path / "none.csv")
    assert "is a folder" in one_line(tmp_path)
    assert "is empty" in one_line(file("empty.csv", b""))
    assert "is an image; give the CSV file itself" in one_line(file("image.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"))
    assert "its first line is not text in UTF-8" in one_line(file("latin.csv", b"Im\xe1genes,b\n1,2\n"))
    assert "damaged or cut short" in one_line(file("cut.csv.gz", gzip.compress(good)[:40]))
    assert "row 2 has 31 columns, the header 36" in one_line(file("cut.csv", good[: good.rindex(b"Physician")]))
    assert "row 2 is not text in UTF-8" in one_line(file("bytes.csv", good.replace(b"p2", b"\xff\xfe")))
    assert "has a header but no rows" in one_line(file("header.csv", good[: good.index(b"\n") + 1]))
    assert "column 'ImageID' is missing; a PadChest label table" in one_line(file("other.csv", b"a,b\n1,2\n"))
    assert "rename 'labels' to 'Labels'" in one_line(file("columns.csv", good.replace(b",Labels,", b",labels,", 1)))
    assert "column 'Labels' appears 2 times" in one_line(file("twice.csv", good.replace(b",Report,", b",Labels,", 1)))


def test_a_damaged_gzip_tail_is_an_error(tmp_path: Path) -> None:
    rows = [padchest_row(number, f"['mass', 'x{number}']") for number in range(3000)]
    packed = gzip.compress(write_padchest(tmp_path / "all.csv", rows).read_bytes())
    (tmp_path / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    assert "cut short" in one_line(tmp_path / "cut.csv.gz")


def test_rounded_patient_ids_stop_the_run(tmp_path: Path) -> None:
    rows = [padchest_row(1, "['mass']"), padchest_row(2, "['mass']", PatientID="3.24E+38")]
    message = one_line(write_padchest(tmp_path / "labels.csv", rows))
    assert "row 2: PatientID '3.24E+38' is a rounded number" in message


def test_the_command_prints_counts_and_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        padchest_row(1, "['normal']"),
        padchest_row(2, "['mass', 'nodule']", Projection="L"),
        padchest_row(3, "['mass']", Projection="L"),
        padchest_row(4, "nan"),
    ]
    file = write_padchest(tmp_path / "labels.csv", rows)
    out = tmp_path / "out" / "counts.csv"
    assert main(["labels", "--dataset", "padchest", "--csv", str(file), "--out", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:6] == ["rows 4", "kept 3", "rejected 1", "  labels missing 1", "labels 3", "patients 3"]
    assert printed[-2:] == [f"{'L':<16}{2:>9}{2:>10}", f"{'PA':<16}{1:>9}{1:>10}"]
    assert out.read_text().splitlines() == [
        "label,projection,count",
        "mass,L,2",
        "mass,PA,0",
        "nodule,L,1",
        "nodule,PA,0",
        "normal,L,0",
        "normal,PA,1",
    ]


def test_the_command_draws_every_label_by_its_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = [f"finding {n}" for n in range(60)]
    lists = [labels, ["finding 7"], ["finding 7", "finding 9"]]
    rows = [padchest_row(number, str(names)) for number, names in enumerate(lists, 1)]
    file = write_padchest(tmp_path / "labels.csv", rows)
    command = ["labels", "--dataset", "padchest", "--csv", str(file), "--plot"]
    assert main([*command, str(tmp_path / "tail.png")]) == 0
    with Image.open(tmp_path / "tail.png") as picture:
        assert picture.format == "PNG"
    figure = label_distribution(label_counts(read_padchest(file)), 3)
    drawn = [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]
    lengths = [bar.get_width() for axes in figure.axes for bar in axes.patches if isinstance(bar, Rectangle)]
    assert sorted(drawn) == sorted(labels)
    more = {"finding 7": 3, "finding 9": 2}
    assert dict(zip(drawn, lengths, strict=True)) == {name: more.get(name, 1) for name in labels}
    assert drawn[:2] == ["finding 7", "finding 9"]
    capsys.readouterr()
    assert main([*command, str(tmp_path / "tail.txt")]) == 1
    assert "give a name that ends with .png for --plot" in capsys.readouterr().err
    write_padchest(file, [padchest_row(number, "nan") for number in range(3)])
    assert main([*command, str(tmp_path / "none.png")]) == 1
    assert "labels.csv: has no label to draw; give a table with labels" in capsys.readouterr().err


def test_the_command_says_what_is_wrong_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["labels", "--dataset", "padchest", "--csv", str(tmp_path / "none.csv")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    file = write_padchest(tmp_path / "labels.csv", [padchest_row(1, "['normal']")])
    assert main(["labels", "--dataset", "padchest", "--csv", str(file), "--out", str(tmp_path)]) == 1
    assert "is a folder; give a file name" in capsys.readouterr().err


def test_the_labels_room_starts_without_torch() -> None:
    code = "import sys, trcgl.cli, trcgl.labels.build, trcgl.labels.report; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd="src")


@pytest.mark.parametrize("photometric", ["monochrome1", " MONOCHROME 1", "Monochrome1"])
def test_air_is_bright_however_that_is_written(photometric: str, tmp_path: Path) -> None:
    row = padchest_row(1, "['mass']", PhotometricInterpretation_DICOM=photometric)
    table = read_padchest(write_padchest(tmp_path / "t.csv", [row, padchest_row(2, "['normal']")]))
    assert table.rows["photometric"].tolist() == ["MONOCHROME1", "MONOCHROME2"]


@pytest.mark.parametrize(
    ("photometric", "line"),
    [
        ("PALETTE COLOR", "row 1: PhotometricInterpretation_DICOM 'PALETTE COLOR' is neither MONOCHROME1 nor"),
        ("", "row 1: PhotometricInterpretation_DICOM 'MONOCROME1' (as are 1 more) is neither MONOCHROME1 nor"),
    ],
)
def test_a_line_says_what_is_neither_kind_of_grey(photometric: str, line: str, tmp_path: Path, said: list[str]) -> None:
    values = [photometric or "MONOCROME1", "MONOCHROME2"] + ([] if photometric else ["RGB"])
    rows = [padchest_row(i, "['mass']", PhotometricInterpretation_DICOM=value) for i, value in enumerate(values, 1)]
    read_padchest(write_padchest(tmp_path / "t.csv", rows))
    assert [found for found in said if line in found]


def test_a_line_says_that_dates_give_no_age(tmp_path: Path, said: list[str]) -> None:
    """As a spreadsheet writes them; blank ones are unknown without a line."""
    rows = [
        padchest_row(n, "['mass']", StudyDate_DICOM=date, PatientBirth=birth)
        for n, (date, birth) in enumerate(
            [("20100203", "1950.0"), ("03/02/2010", "1950.0"), ("", "1950.0"), ("nan", "")]
        )
    ]
    table = read_padchest(write_padchest(tmp_path / "t.csv", rows))
    assert table.rows["age"][0] == 60
    assert table.rows["age"][1:].isna().all()
    lines = [line for line in said if "PatientBirth" in line]
    assert len(lines) == 1
    assert "row 2: StudyDate_DICOM '03/02/2010' and PatientBirth '1950.0' give no age" in lines[0]


def test_a_line_says_that_nobody_knows_which_pictures_are_inverted(tmp_path: Path, said: list[str]) -> None:
    row = padchest_row(1, "['mass']", PhotometricInterpretation_DICOM="")
    table = read_padchest(write_padchest(tmp_path / "t.csv", [row]))
    assert table.rows["photometric"].tolist() == [""]
    assert [line for line in said if "no PhotometricInterpretation_DICOM" in line]
