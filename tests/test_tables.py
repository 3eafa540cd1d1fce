"""Tables as text: which quoted values hold a line end, against Python's own reader of CSV files."""

import csv
import gzip
import hashlib
import io
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trcgl.runtime.errors import InputError
from trcgl.tables import _values_of_several_lines, read_columns, read_text

cell = st.text(st.sampled_from('ab",\n é'), max_size=6)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(cell, min_size=3, max_size=3), min_size=1, max_size=6), st.sampled_from(["\n", "\r", "\r\n"]),
       st.booleans())  # fmt: skip
def test_values_of_several_lines_are_those_of_the_csv_module(rows: list[list[str]], end: str, ended: bool):
    text = io.StringIO()
    rows = [[value.replace("\n", end) for value in row] for row in rows]
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    content = text.getvalue() if ended else text.getvalue().removesuffix(end)
    assert list(csv.reader(io.StringIO(content, newline=""))) == rows
    found = _values_of_several_lines(content.encode(), len(rows))
    assert found is not None
    expected = [value for row in rows for value in row if end[-1] in value]
    assert [value.decode()[1:].replace('""', '"') for value in found] == expected


@pytest.mark.parametrize(
    "rows",
    [
        ['1,"x', '2,"y\nz"'],  # an odd number of quotes
        ['1,5" x', "2,y", '3,6" z', '4,"u\nv"'],  # an even number, and too few lines outside
        # As many lines outside as there are rows, by accident: one row is swallowed, and signs of inches hide two
        ['1,5" x', '3,"a', "4,b", '5,c"', '6" ,d'],
    ],
)
def test_quotes_that_mean_something_else_are_not_judged_by_their_number(rows: list[str]):
    content = "\n".join(["a,b", *rows, ""])
    read = [row for row in csv.reader(io.StringIO(content, newline="")) if row]
    assert _values_of_several_lines(content.encode(), len(read)) is None


def test_signs_of_inches_alone_swallow_nothing():
    assert _values_of_several_lines(b'a,b\n1,5" x\n2,"y"\n3,z', 4) == []


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_report_of_several_lines_swallows_nothing(end: str, packed: bool, tmp_path: Path):
    """With fewer commas than a row has, with more of them, and with lines that begin in another way than rows do."""
    reports = ["fine", "1. heart, normal\n2. lungs, clear", 'a "large", old, known, stable\nmass', ", ,\n,, ,,"]
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows(
        [
            ["image", "report", "age"],
            *([f"{k}.png", report.replace("\n", end), str(k)] for k, report in enumerate(reports)),
        ]
    )
    data = text.getvalue().encode()
    (tmp_path / "t.csv").write_bytes(gzip.compress(data) if packed else data)
    table = read_columns(tmp_path / "t.csv", ["image", "age"], what="a table")
    assert table["image"].tolist() == ["0.png", "1.png", "2.png", "3.png"]
    assert table["age"].tolist() == ["0", "1", "2", "3"]


NAMES = {
    "digests": [f"{hashlib.sha256(str(k).encode()).hexdigest()[:8]}.png" for k in range(12)],
    "of more digits": [f"{k}.png" for k in range(95, 107)],
    "people": ["Adler", "Bauer", "Christ", "Dorn", "Engel", "Fuchs", "Graf", "Huber", "Igel", "Jung", "Klein", "Lang"],
    "numbers": [str(k) for k in range(995, 1007)],
    "uids": [f"1.2.{k}.{7 * k}" for k in range(95, 107)],
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("place", [1, 3])
@pytest.mark.parametrize("closing", ['known"', '"known"', '"known, old"'])
@pytest.mark.parametrize("closed", [5, 6, 11, None])
def test_a_quote_that_swallows_rows_stops_whatever_the_names(
    names: list[str], place: int, closed: int | None, closing: str, tmp_path: Path
):
    """Opened in row 5; closed in that column rows later, by a quote of its own or of another value, or never."""
    header = ["image", "patient", "split"]
    header.insert(place, "comment")
    rows = [[name, f"p{k}", "train"] for k, name in enumerate(names)]
    for k, row in enumerate(rows):
        row.insert(place, {4: '"stable', closed: closing}.get(k, "ok"))
    (tmp_path / "t.csv").write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n")
    with pytest.raises(InputError, match=r"t.csv: row 5(: column 'comment' holds a line break and what| has \d col)"):
        read_columns(tmp_path / "t.csv", ["image", "patient", "split"], what="a table")


@pytest.mark.parametrize(
    "lines",
    [
        # Spaces in front; a blank first column; commas at the end of the header; a quote in the first column
        ["image,patient,comment,split", "1.png,  1,ok,train", '2.png,  2,"stable,train', "3.png,  3,ok,val",
         '4.png,  4,known",test', "5.png,  5,ok,val"],
        ["exclude,image,patient,comment,split", ",1.png,1,ok,train", ',2.png,2,"stable,train', ",3.png,3,ok,val",
         ',4.png,4,known",test', "yes,5.png,5,ok,val"],
        ["image,patient,comment,split,,", "1.png,1,ok,train", '2.png,2,"stable,train', '3.png,3,known",test',
         "5.png,5,ok,val"],
        ["note,patient,split", ",P1,train", '"x,P2,test', 'y",P3,train', ",P4,val"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_quote_that_swallows_rows_of_other_forms_stops(lines: list[str], end: str, tmp_path: Path):
    (tmp_path / "t.csv").write_bytes(end.join([*lines, ""]).encode())
    with pytest.raises(
        InputError, match=r"t.csv: row 2: column '(comment|note)' holds a line break and what looks like"
    ):
        read_columns(tmp_path / "t.csv", ["patient", "split"], what="a table")


@pytest.mark.parametrize(
    ("header", "name", "report"),
    [
        (
            "image,report,patient",
            "0001.png",
            "1.\u53cc\u80ba\u7eb9\u7406,\u589e\u7c97\n2.\u4e3b\u52a8\u8109,\u5fc3\u5f71",
        ),
        ("image,report,patient", "CR001", "\u53cc\u80ba,\u5fc3\u5f71\n\u53f3\u4fa7,\u8bf7\u590d\u67e5"),
        ("image,report,patient", "1001", "Herz normal, Lunge frei\n1,5 cm Herd rechts"),
        ("patient,image,report", "P1", "Herz normal, Lunge frei\n1,5 cm Herd rechts, unver\u00e4ndert"),
        ("image,report,patient,split", "1001", "Heart normal, lungs clear, small effusion\n1,200 mL drained"),
        ("image,report,patient,split", "CXR001", "C5,6 fusion unchanged, no effusion\nPA,lateral views: heart, lungs"),
    ],
)
def test_reports_in_other_languages_swallow_nothing(header: str, name: str, report: str, tmp_path: Path):
    columns, rows = header.split(","), list[list[str]]()
    for k in range(3):
        row = {"image": f"{k}.png", "patient": f"P{k}", "split": "train", "report": "ok" if k else report}
        rows.append([(name[:-1] + str(k) if not name.endswith(".png") else f"000{k}.png") if column == columns[0]
                     else row[column] for column in columns])  # fmt: skip
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    (tmp_path / "t.csv").write_text(text.getvalue(), encoding="utf-8")
    assert len(read_columns(tmp_path / "t.csv", ["image", "patient"], what="a table")) == 3


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_prose_of_several_lines_swallows_nothing_whatever_the_names(names: list[str], tmp_path: Path):
    prose = "Heart normal, lungs clear, no effusion, bones intact\nImpression, normal, no change, stable\nDr. A, MD"
    text = io.StringIO()
    rows = [[name, prose, f"p{k}", "train"] for k, name in enumerate(names)]
    csv.writer(text, lineterminator="\n").writerows([["image", "report", "patient", "split"], *rows])
    (tmp_path / "t.csv").write_text(text.getvalue())
    assert read_columns(tmp_path / "t.csv", ["image", "split"], what="a table")["image"].tolist() == names


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_null_bytes_behind_good_rows_are_named_by_their_line(encoding: str, end: str, tmp_path: Path):
    """As a disk that was full, or a copy that was interrupted, leaves them."""
    rows = "".join(f"{k}.png,p{k}{end}" for k in range(9))
    (tmp_path / "t.csv").write_bytes(f"image,patient{end}{rows}{chr(0) * 50}".encode(encoding))
    for read in (read_text, partial(read_columns, required=["image", "patient"], what="a table")):
        with pytest.raises(InputError, match=r"t\.csv: line 11 holds null bytes: the file is damaged or cut short"):
            read(tmp_path / "t.csv")
