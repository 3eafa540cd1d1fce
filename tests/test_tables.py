"""Tables as text: which quoted values hold a line end, against Python's own reader of CSV files."""

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trcgl.tables import _values_of_several_lines, read_columns

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
