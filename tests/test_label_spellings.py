"""The ways in which programs rewrite label tables, for each adapter, against plain counting of what was meant.

A cell of the matrix is an adapter and a spelling: the table is either read as it was meant, counted with nothing but
dictionaries, or refused in one line.
"""

import codecs
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dataset_layouts import CHEXPERT_COLUMNS
from tests.label_tables import (
    ADAPTERS,
    CODED,
    FINDINGS,
    HAS_IDS,
    LISTED,
    ROWS,
    Adapter,
    Meant,
    Rows,
    as_text,
    check,
    meant,
    present,
    read,
    rows_of,
)
from trcgl.labels.cells import name_key
from trcgl.labels.report import label_counts
from trcgl.runtime.errors import InputError

# Files: every adapter reads all of these alike

FILES: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "byte order mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "two byte order marks": lambda text: codecs.BOM_UTF8 * 2 + text.encode(),
    "UTF-16, little": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16, big": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "CR": lambda text: text.replace("\n", "\r").encode(),
    "no last line end": lambda text: text.rstrip("\n").encode(),
    "blank lines": lambda text: text.replace("\n", "\n\n").encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "gzip of UTF-16": lambda text: gzip.compress(text.encode("utf-16")),
    "sep line": lambda text: b"sep=,\n" + text.encode(),
    "sep line, quoted, filled up, CRLF": lambda text: b'"sep=,",,\r\n' + text.replace("\n", "\r\n").encode(),
    "sep line in UTF-16": lambda text: ("SEP=,\n" + text).encode("utf-16"),
}


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("name", ADAPTERS)
def test_a_file_in_another_form_is_read_as_it_was_meant(name: str, form: str, tmp_path: Path, said: list[str]):
    adapter, what = ADAPTERS[name], meant()
    content = FILES[form](as_text(adapter.columns, rows_of(adapter, what)))
    check(read(name, tmp_path / "t.csv", content), what, name)
    assert said == []


@pytest.mark.parametrize("name", ADAPTERS)
def test_spaces_quotes_and_a_pandas_index_change_nothing(name: str, tmp_path: Path):
    adapter, what = ADAPTERS[name], meant()
    rows = [{key: f" {value}\u00a0" for key, value in row.items()} for row in rows_of(adapter, what)]
    columns = ["Unnamed: 0", *adapter.columns]
    for number, row in enumerate(rows):
        row["Unnamed: 0"] = str(number)
    text = as_text(columns, rows)
    check(read(name, tmp_path / "t.csv", text.replace("Unnamed: 0", "")), what, name)
    check(read(name, tmp_path / "t.csv", text), what, name)


REFUSED: dict[str, tuple[Callable[[str], bytes], str]] = {
    "semicolons": (lambda text: text.replace(",", ";").encode(), "is separated by semicolons"),
    "tabs": (lambda text: text.replace(",", "\t").encode(), "is separated by tabs"),
    "sep=;": (lambda text: b"sep=;\n" + text.replace(",", ";").encode(), "is separated by semicolons"),
    "UTF-16 without a mark": (
        lambda text: text.encode("utf-16-le"),
        "seems to be UTF-16 text without a byte order mark",
    ),
    "UTF-16 cut short": (lambda text: text.encode("utf-16")[:-1], "damaged, cut short"),
    "joined tables": (lambda text: (text + text).encode(), f"row {ROWS + 1} (header not counted)"),
    "joined tables with marks": (
        lambda text: ("\ufeff" + text + "\ufeff" + text).encode(),
        f"row {ROWS + 1} (header not counted)",
    ),
    "a pointer of Git LFS": (lambda text: b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    "a web page": (lambda text: b"<!DOCTYPE html><html>" + text.encode(), "is a web page"),
    "JSON": (lambda text: b'[{"image": "a.png"}]', "is JSON; save it as CSV"),
    "a workbook": (lambda text: b"PK\x03\x04" + text.encode(), "is a zip archive or an Excel workbook"),
    "cut in a row": (lambda text: text.rstrip("\n").rsplit(",", 1)[0].encode(), f"row {ROWS} has "),
}


@pytest.mark.parametrize("form", REFUSED)
@pytest.mark.parametrize("name", ADAPTERS)
def test_a_file_that_is_not_such_a_table_is_refused_in_one_line(name: str, form: str, tmp_path: Path):
    adapter = ADAPTERS[name]
    change, expected = REFUSED[form]
    with pytest.raises(InputError) as caught:
        read(name, tmp_path / "t.csv", change(as_text(adapter.columns, rows_of(adapter, meant()))))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


# Cells that hold no value

MISSING = (
    "nan", "NaN", "NAN", "-nan", "NA", "na", "N/A", "n/a", "n.a.", "<NA>", "None", "none", "null", "NULL", "Null",
    "NaT", "#N/A", "#NA", ".", "''", '""', "unknown", "missing", "undefined", "\\N", "", "(blank)",
    "-9223372036854775808", "-2147483648",
)  # fmt: skip
NO_NAME = (
    "-", "--", "?", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "*", "####", "########", "inf", "-Inf", "Infinity",
    "ANONYMOUS", "Anonymized", "anonymised", "anon",
)  # fmt: skip


def with_words(adapter: Adapter, what: Meant, column: str) -> Rows:
    """The rows of what is meant, and after them a row per word for nothing, which stands in a column."""
    rows = rows_of(adapter, what)
    for number, word in enumerate(MISSING + NO_NAME):
        rows.append(adapter.row(f"more{number}.png", str(900 + number), what.labels[0]) | {column: word})
    return rows


@pytest.mark.parametrize(
    ("name", "place", "reason"),
    [(name, "label", "labels missing") for name in LISTED]
    + [(name, "patient", "patient id missing") for name in HAS_IDS],
)
def test_a_word_for_nothing_is_neither_label_nor_patient(name: str, place: str, reason: str, tmp_path: Path):
    adapter, what = ADAPTERS[name], meant()
    rows = with_words(adapter, what, getattr(adapter, place))
    table = read(name, tmp_path / "t.csv", as_text(adapter.columns, rows))
    assert table.rejected["row"].tolist() == list(range(ROWS + 1, len(rows) + 1))
    assert set(table.rejected["reason"]) == {reason}
    check(table, what, name)


@pytest.mark.parametrize("name", CODED)
def test_a_word_for_nothing_is_an_unknown_code(name: str, tmp_path: Path):
    """Every word at once, a row each; the others state something."""
    adapter, what = ADAPTERS[name], meant()
    for k in range(ROWS, 3 * len(MISSING)):
        what.images.append(f"im{k:03d}.png")
        what.patients.append(str(100 + k // 2))
        what.labels.append({"Mass": k % 2, "Nodule": 0, "Edema": k % 3 % 2})
    rows = rows_of(adapter, what)
    for k, word in enumerate(MISSING):
        rows[2 * k][adapter.label] = word
        what.labels[2 * k]["Edema"] = None
    check(read(name, tmp_path / "t.csv", as_text(adapter.columns, rows)), what, name)


# Codes

SPELLED_CODES: dict[str, dict[str, str]] = {
    "floats": {"1": "1.0", "0": "0.0"},
    "long floats": {"1": "1.000000", "0": "0.000"},
    "a decimal comma": {"1": "1,0", "0": "0,0"},
    "exponents": {"1": "1.0e+00", "0": "0E+00"},
    "truth": {"1": "True", "0": "FALSE"},
    "signs": {"1": "+1", "0": "-0.0"},
    "zeros in front": {"1": "01", "0": "00"},
}


@pytest.mark.parametrize("way", SPELLED_CODES)
@pytest.mark.parametrize("name", CODED)
def test_codes_in_other_spellings(name: str, way: str, tmp_path: Path):
    adapter, what = ADAPTERS[name], meant()
    rows = rows_of(adapter, what)
    for row in rows:
        for column in set(FINDINGS) | set(CHEXPERT_COLUMNS[5:]):
            if column in row:
                row[column] = SPELLED_CODES[way][row[column]]
    check(read(name, tmp_path / "t.csv", as_text(adapter.columns, rows)), what, name)


@pytest.mark.parametrize("uncertain", ["-1", "-1.0", "-1,0", "\u22121", "-1.0e+00"])
@pytest.mark.parametrize("name", [name for name in CODED if name != "vindr"])
def test_uncertain_codes_in_other_spellings(name: str, uncertain: str, tmp_path: Path):
    adapter, what = ADAPTERS[name], meant()
    rows = rows_of(adapter, what)
    rows[3][adapter.label] = uncertain
    table = read(name, tmp_path / "t.csv", as_text(adapter.columns, rows))
    assert table.uncertain.to_numpy().tolist() == [[4, "Edema"]]


@pytest.mark.parametrize("value", ["2", "yes", "x", "-", "?", "0.7", "11", "1;0", "#REF!", "-2", "1.0.0", "9"])
@pytest.mark.parametrize("name", CODED)
def test_a_value_that_is_not_a_code_is_never_a_finding(name: str, value: str, tmp_path: Path, said: list[str]):
    adapter, what = ADAPTERS[name], meant()
    rows = rows_of(adapter, what)
    rows[3][adapter.label] = value
    text = as_text(adapter.columns, rows)
    if name == "folder":
        with pytest.raises(InputError, match="row 4: column 'Edema' holds"):
            read(name, tmp_path / "t.csv", text)
        return
    table = read(name, tmp_path / "t.csv", text)
    assert table.rejected[["row", "reason"]].to_numpy().tolist() == [[4, "label value is not 1, 0, -1 or blank"]]
    assert f"row 4: column 'Edema' holds '{value}'" in said[0]


# Lists

LISTS: dict[str, Callable[[list[str]], str]] = {
    "Python": str,
    "JSON": lambda labels: "[" + ", ".join(f'"{label}"' for label in labels) + "]",
    "JSON, closely": lambda labels: "[" + ",".join(f'"{label}"' for label in labels) + "]",
    "Python with spaces": lambda labels: "[ " + " , ".join(f"' {label} '" for label in labels) + " ]",
}
JOINED: dict[str, Callable[[list[str]], str]] = {
    "spaces": " | ".join,
    "a bar at the end": lambda labels: "|".join(labels) + "|",
    "quotes": lambda labels: "|".join(f"'{label}'" for label in labels),
    "curly quotes": lambda labels: "|".join(f"\u201c{label}\u201d" for label in labels),
    "repeated": lambda labels: "|".join(labels * 2),
    "no-break space": lambda labels: "|\u00a0".join(labels),
    "zero-width space": lambda labels: "|".join(f"\u200b{label}" for label in labels),
    "byte order mark": lambda labels: "|".join(f"{label}\ufeff" for label in labels),
}


@pytest.mark.parametrize("way", [*LISTS, *JOINED])
@pytest.mark.parametrize("name", LISTED)
def test_lists_in_spellings_that_mean_one_thing_only(name: str, way: str, tmp_path: Path):
    if name == "padchest" and way in JOINED:
        pytest.skip("its lists are in brackets")
    adapter, what = ADAPTERS[name], meant()
    write = (LISTS | JOINED)[way]
    rows = rows_of(adapter, what)
    for row, labels in zip(rows, what.labels, strict=True):
        row[adapter.label] = write(present(labels, "normal" if name != "nih" else "No Finding"))
    check(read(name, tmp_path / "t.csv", as_text(adapter.columns, rows)), what, name)


SEVERAL: dict[str, Callable[[list[str]], str]] = {
    "semicolons": ";".join, "commas": ", ".join, "slashes": "/".join, "plus": " + ".join, "ampersand": " & ".join,
    "tabs": "\t".join, "broken bars": "\u00a6".join, "bare brackets": lambda labels: f"[{', '.join(labels)}]",
    "numpy": lambda labels: "[" + " ".join(f"'{label}'" for label in labels) + "]",
    "a quote at the front": lambda labels: "'" + "|".join(labels),
    "lines": lambda labels: "\n".join(labels),
    "wide commas": "\uff0c".join, "Chinese commas": "\u3001".join, "Arabic commas": "\u060c ".join,
    "wide semicolons": "\uff1b".join, "Arabic semicolons": "\u061b".join, "wide bars": "\uff5c".join,
    "drawn bars": "\u2502".join, "wide plus": "\uff0b".join, "colons": ":".join, "dashes": " - ".join,
    "dots": "\u2022".join, "hyphens": "-".join, "underlines": "_".join, "carets": "^".join, "and": " and ".join,
    "y": " y ".join, "brackets": lambda labels: f"{labels[0]} ({labels[1]})",
}  # fmt: skip


@pytest.mark.parametrize("way", SEVERAL)
@pytest.mark.parametrize("name", LISTED)
def test_one_list_that_might_mean_another_thing_stops_or_is_rejected(
    name: str, way: str, tmp_path: Path, said: list[str]
):
    """It is never a finding of that name, and its row is named."""
    adapter, what = ADAPTERS[name], meant()
    rows = rows_of(adapter, what)
    rows[1][adapter.label] = SEVERAL[way](["Mass", "Nodule"])
    text = as_text(adapter.columns, rows)
    no_list = way in ("bare brackets", "numpy") or (name == "padchest" and way != "lines")
    if not no_list:
        with pytest.raises(InputError, match="row 2: ") as caught:
            read(name, tmp_path / "t.csv", text)
        assert "\n" not in str(caught.value)
        return
    table = read(name, tmp_path / "t.csv", text)
    assert table.rejected[["row", "reason"]].to_numpy().tolist() == [[2, "labels are not a list of texts"]]
    assert set(table.vocabulary) <= {*FINDINGS, "normal", "No Finding"}
    assert "row 2: " in said[0]


# Where no row has one of them alone, a name may hold these
PART_OF_A_NAME = (
    "slashes", "plus", "ampersand", "wide plus", "colons", "dashes", "dots", "hyphens", "underlines", "carets", "and",
    "y", "brackets",
)  # fmt: skip


@pytest.mark.parametrize("way", [way for way in SEVERAL if way not in PART_OF_A_NAME])
@pytest.mark.parametrize("name", LISTED)
def test_a_table_of_such_lists_stops(name: str, way: str, tmp_path: Path):
    adapter, what = ADAPTERS[name], meant()
    rows = rows_of(adapter, what)
    for row in rows:
        row[adapter.label] = SEVERAL[way](["Mass", "Nodule"])
    with pytest.raises(InputError, match="row 1: "):
        read(name, tmp_path / "t.csv", as_text(adapter.columns, rows))


@pytest.mark.parametrize(
    "other",
    ["mass", "MASS", "mAss", "Mass_", "\u041c\u0410\u0405\u0405", "Mass-", "Mass.", "Mass:", "M\u00e1ss", "M ass"],
)
@pytest.mark.parametrize("name", LISTED)
def test_one_finding_in_two_spellings_stops(name: str, other: str, tmp_path: Path):
    adapter, what = ADAPTERS[name], meant()
    rows = rows_of(adapter, what)
    rows[-1][adapter.label] = str([other]) if name == "padchest" else other
    with pytest.raises(InputError, match=rf"row {ROWS}: .* is the finding 'Mass' of row \d+ in another spelling"):
        read(name, tmp_path / "t.csv", as_text(adapter.columns, rows))


@pytest.mark.parametrize("other", ["mass", "Mass.1", " MASS", "Ma\u200bss ", "M\u00e1ss", "Mass."])
@pytest.mark.parametrize("name", ["folder", "cxrlt", "mimic", "vindr"])
def test_one_finding_in_two_columns_stops(name: str, other: str, tmp_path: Path):
    adapter = ADAPTERS[name]
    rows = [row | {other: "1"} for row in rows_of(adapter, meant())]
    with pytest.raises(InputError, match=r"spellings; keep one|that pandas has numbered|appears 2 times"):
        read(name, tmp_path / "t.csv", as_text([*adapter.columns, other], rows))


UNSEEN = {
    "no-break space": "a\u00a0b", "thin space": "a\u2009b", "two spaces": "a  b", "zero-width space": "a\u200b b",
    "zero-width joiner": "a\u200d b", "soft hyphen": "a\u00ad b", "byte order mark": "a \ufeffb",
    "writing direction": "\u200ea b\u202c", "narrow no-break space": "a\u202fb",
}  # fmt: skip


@pytest.mark.parametrize("way", UNSEEN)
@pytest.mark.parametrize("name", LISTED)
def test_what_cannot_be_seen_makes_no_second_finding_and_is_said(name: str, way: str, tmp_path: Path, said: list[str]):
    adapter = ADAPTERS[name]
    rows = rows_of(adapter, meant())
    for k, text in ((0, "a b"), (1, UNSEEN[way])):
        rows[k][adapter.label] = str([text]) if name == "padchest" else text
    table = read(name, tmp_path / "t.csv", as_text(adapter.columns, rows))
    counts = label_counts(table).set_index("label")["count"]
    assert counts["a b"] == 2
    assert len(said) == 1
    assert "row 2: " in said[0]


@pytest.mark.parametrize("name", LISTED)
def test_accents_in_parts_make_no_second_finding(name: str, tmp_path: Path):
    adapter = ADAPTERS[name]
    rows = rows_of(adapter, meant())
    for k, text in ((0, "t\u00f3rax"), (1, "to\u0301rax")):
        rows[k][adapter.label] = f"['{text}']" if name == "padchest" else text
    table = read(name, tmp_path / "t.csv", as_text(adapter.columns, rows))
    assert label_counts(table).set_index("label")["count"]["t\u00f3rax"] == 2


# Ids


@pytest.mark.parametrize(
    ("spelled", "wrong"),
    [
        ("3.24E+38", "is a rounded number"), ("3,24E+38", "is a rounded number"), ("3.24e38", "is a rounded number"),
        ("1E+15", "is a rounded number"), ("3e38", "is a rounded number"),
        ("324512345678901" + "0" * 20, "is rounded to the digits"),
        (str(int(3.24512345678901e38)), "is rounded to the digits"),
        ("12345678901234567.0", "is rounded to the digits"),
        ("00324512345678901" + "0" * 20, "is rounded to the digits"),
        ("101.0", "is a float, but not all ids are"), ("101,0", "is a float, but not all ids are"),
        ("2015-03-04", "is a date"), ("2015-03-04 00:00:00", "is a date"), ("04/03/2015", "is a date"),
        ("04.03.2015", "is a date"), ("4-Mar", "is a date"), ("Mar-04", "is a date"), ("04-mar-2015", "is a date"),
        ("4.3.2015", "is a date"), ("4-3-2015", "is a date"),
        ("2147483647", "is the largest whole number"), ("9223372036854775807", "is the largest whole number"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", HAS_IDS)
def test_ids_that_are_none_any_more_stop_with_their_row(name: str, spelled: str, wrong: str, tmp_path: Path):
    adapter = ADAPTERS[name]
    rows = rows_of(adapter, meant())
    for k in (4, 7):
        rows[k][adapter.patient] = spelled
    with pytest.raises(InputError) as caught:
        read(name, tmp_path / "t.csv", as_text(adapter.columns, rows))
    assert f"row 5: {adapter.patient} '{spelled}' {wrong}" in str(caught.value)
    assert "(as are 1 more)" in str(caught.value)


@pytest.mark.parametrize("tail", [".0", ",0", ".00"])
@pytest.mark.parametrize("name", HAS_IDS)
def test_ids_of_a_column_of_floats_are_the_whole_numbers(name: str, tail: str, tmp_path: Path, said: list[str]):
    adapter, what = ADAPTERS[name], meant()
    rows = rows_of(adapter, what)
    for row in rows:
        row[adapter.patient] += tail
    check(read(name, tmp_path / "t.csv", as_text(adapter.columns, rows)), what, name)
    assert "whole floats such as 7.0 are read as the whole numbers" in said[0]


@pytest.mark.parametrize("way", ["'{}", "'{}'", '"{}"', '="{}"'])
@pytest.mark.parametrize("name", HAS_IDS)
def test_a_spreadsheets_marks_of_a_text_make_no_second_patient(name: str, way: str, tmp_path: Path, said: list[str]):
    adapter, what = ADAPTERS[name], meant()
    rows = rows_of(adapter, what)
    rows[4][adapter.patient] = way.format(what.patients[4])
    check(read(name, tmp_path / "t.csv", as_text(adapter.columns, rows)), what, name)
    assert f"{adapter.patient}: quotes around ids, as spreadsheets use them, are left out; the first: row 5" in said[0]


@pytest.mark.parametrize(
    "other",
    [
        "ab12", "12e3f", "1.2.840.113619.1", "MAR-12", "0012", "20150304", "1234567890123456789", "a" * 60, "1.1",
        "x/1", "12345678901234567890123456789012345671", "O'Brien", "=1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", HAS_IDS)
def test_other_ids_are_ids(name: str, other: str, tmp_path: Path):
    adapter, what = ADAPTERS[name], meant()
    what.patients[4] = other
    check(read(name, tmp_path / "t.csv", as_text(adapter.columns, rows_of(adapter, what))), what, name)


def test_what_stands_between_digits_tells_names_apart():
    assert name_key("Pleural_effusion") == name_key("pleural  Effusion.") == name_key("PleuralEffusion")
    assert name_key("h\u00famero") == name_key("HUMERO")
    assert name_key("air\u2013space") == name_key("air-space")
    for one, other in (
        ("T1-2", "T12"),
        ("grade 1.5", "grade 15"),
        ("\u0915\u093f", "\u0915\u0941"),
        ("Kerley A", "Kerley B"),
    ):
        assert name_key(one) != name_key(other)


def test_a_report_of_many_lines_and_bytes_is_one_value(tmp_path: Path):
    """Longer than the parts in which a table is read; its commas and lines are no rows."""
    long, lined = "no mass, " * 300_000, "heart, lungs, bones\nfine, fine\n2, ribs, lungs"
    text = f'image,patient,report,labels\na.png,1,"{long}",Mass\nb.png,2,"{lined}",Nodule\n'
    table = read("folder", tmp_path / "t.csv", text)
    assert table.rows["image"].tolist() == ["a.png", "b.png"]
    assert table.matrix(["Mass", "Nodule"]).tolist() == [[1, 0], [0, 1]]


def test_words_that_are_findings_of_their_own_are_said(tmp_path: Path, said: list[str]):
    """A space joins the words of a name, and no two labels: the name stays."""
    text = "image,patient,labels\na.png,1,Mass\nb.png,2,Nodule\nc.png,3,Mass Nodule\n"
    table = read("folder", tmp_path / "t.csv", text)
    assert table.vocabulary == ["Mass", "Nodule", "Mass Nodule"]
    assert "row 3: labels 'Mass Nodule' is kept as one finding, though each of its words is a finding too" in said[0]


@pytest.mark.parametrize(
    ("one", "other"), [("1,234", "1234"), ("1 234", "1234"), ("\uff11\uff12", "12"), ("\u0661\u0662", "12")]
)
def test_digits_that_look_otherwise_are_said(one: str, other: str, tmp_path: Path, said: list[str]):
    text = f'image,patient,labels\na.png,"{one}",Mass\nb.png,{other},Mass\n'
    assert read("folder", tmp_path / "t.csv", text).rows["patient"].tolist() == [one, other]
    assert (
        "ids of rows 1 and 2 differ only in capitals, leading zeros, marks between words or the form of their letters"
        in said[0]
    )


@pytest.mark.parametrize("name", HAS_IDS)
def test_ids_that_look_alike_are_said(name: str, tmp_path: Path, said: list[str]):
    adapter, what = ADAPTERS[name], meant()
    # 1-12 and 11-2 are two
    what.patients[2:10] = ["1-12", "11-2", "P1", "p1", "007", "7", "P-1", "P 1"]
    check(read(name, tmp_path / "t.csv", as_text(adapter.columns, rows_of(adapter, what))), what, name)
    line = next(line for line in said if f"{adapter.patient}: ids of rows 5 and 6 differ only in capitals, " in line)
    assert line.endswith("count as different ids (as do 3 more)")


@pytest.mark.parametrize("name", HAS_IDS)
def test_what_cannot_be_seen_makes_no_second_patient(name: str, tmp_path: Path, said: list[str]):
    adapter, what = ADAPTERS[name], meant()
    rows = rows_of(adapter, what)
    rows[4][adapter.patient] = f"{what.patients[4]}\u200b"
    check(read(name, tmp_path / "t.csv", as_text(adapter.columns, rows)), what, name)
    assert f"{adapter.patient}: row 5: unusual spaces, invisible characters" in said[0]


def test_the_number_of_cells():
    """Of the matrix of spellings and adapters above."""
    listed, coded, ids = len(LISTED), len(CODED), len(HAS_IDS)
    cells = len(ADAPTERS) * (len(FILES) + len(REFUSED)) + listed * len(MISSING + NO_NAME) + coded * len(MISSING)
    cells += ids * len(MISSING + NO_NAME) + coded * len(SPELLED_CODES) + listed * (len(LISTS) + len(JOINED))
    cells += listed * (2 * len(SEVERAL) - len(PART_OF_A_NAME) + len(UNSEEN))
    assert cells >= 600
