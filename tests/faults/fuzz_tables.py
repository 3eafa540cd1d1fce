"""Differential fuzzing of tables and lists of names: `python -m tests.faults.fuzz_tables --minutes 20`.

A case is a table of one adapter in random spellings. What it means is kept beside it, so that the reader's result is
compared with plain counting: either the whole table is as it was meant, less the rows that were spoiled on purpose, or
one line refuses it. The same bytes are also read by Python's csv module, whose cells must be those of our reader. Case
k of a seed is always the same; `--first K --cases 1` repeats one.
"""

import argparse
import csv
import gzip
import io
import itertools
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tests.labels_files import NIH_2020_COLUMNS, PADCHEST_COLUMNS
from trcgl.labels.adapters import read_table
from trcgl.labels.name_lists import match_names, read_names
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import silence
from trcgl.tables import read_columns, read_header

Random = np.random.Generator
FINDINGS = ("Mass", "Nodule", "Edema", "pleural effusion", "t\u00f3rax en tonel")
LIKE_E, LIKE_S = ("\u0435", "\uff45", "\U0001d41e"), ("\u0455", "\uff53", "\ua731")
"""Letters that look like others."""
NOTHING = ("", "nan", "NA", "None", "#N/A", "null", ".", "N/A", "\u00a0")
KINDS = ("padchest", "nih", "folder", "coded", "cxrlt", "vindr")


@dataclass
class Case:
    """A table, and what it means.

    Attributes:
        dataset: the adapter.
        columns, rows: the cells.
        image, label: the columns of the image's name and, if labels are listed, of the list.
        present: image -> findings that are there, of the rows that must be kept; None: unknown.
        patients: image -> patient.
    """

    dataset: str
    columns: list[str]
    rows: list[dict[str, str]]
    image: str
    label: str
    present: dict[str, dict[str, int | None]]
    patients: dict[str, str]


def choice(random: Random, options: "tuple[str, ...] | list[str]") -> str:
    return options[int(random.integers(len(options)))]


def padded(random: Random, text: str) -> str:
    """The text with something around it that means nothing."""
    return choice(random, ["", "", "", " ", "\u00a0", "\t"]) + text + choice(random, ["", "", "", " ", "\u2009"])


def listed(random: Random, names: list[str], *, bars: bool) -> str:
    """A list of labels in one of the spellings that mean one thing."""
    names = [name.replace(" ", choice(random, [" ", " ", "\u00a0", "  "])) for name in names]
    names = [padded(random, name) for name in names] + names[: int(random.integers(2))]
    if not bars or random.random() < 0.2:
        return str(names) if random.random() < 0.6 else "[" + ",".join(f'"{name}"' for name in names) + "]"
    quote = choice(random, ["", "", "", '"', "'"])
    return choice(random, ["|", " | "]).join(f"{quote}{name}{quote}" for name in names) + choice(random, ["", "", "|"])


def code(random: Random, value: int | None) -> str:
    if value is None:
        return choice(random, NOTHING)
    return (
        choice(random, ["{}", "{}", "{}.0", "{},0", "0{}"]).format(value) if random.random() < 0.8 else str(bool(value))
    )


def build(random: Random) -> Case:
    kind = choice(random, KINDS)
    columns, image, patient, label, normal = {
        "padchest": (PADCHEST_COLUMNS, "ImageID", "PatientID", "Labels", "normal"),
        "nih": (NIH_2020_COLUMNS, "Image Index", "Patient ID", "Finding Labels", "No Finding"),
        "folder": (["image", "patient", "labels", "site"], "image", "patient", "labels", "normal"),
        "coded": (["image", "patient", *FINDINGS], "image", "patient", "", ""),
        "cxrlt": (["ImageID", "PatientID", *FINDINGS], "ImageID", "PatientID", "", ""),
        "vindr": (["image_id", *FINDINGS], "image_id", "", "", ""),
    }[kind]
    case = Case("folder" if kind == "coded" else kind, list(columns), [], image, label, {}, {})
    as_float = random.random() < 0.2
    for number in range(int(random.integers(1, 30))):
        values: dict[str, int | None] = {name: int(random.random() < 0.4) for name in FINDINGS}
        who, name = str(number // 2 + 1), f"im{number}.png"
        row = {image: padded(random, name), patient: padded(random, who + (".0" if as_float else ""))}
        keep = True
        if label:
            names = [one for one, value in values.items() if value] or [normal]
            row |= {label: listed(random, names, bars=kind != "padchest"), "View Position": "PA", "Projection": "PA"}
            row |= {"StudyID": "s", "MethodLabel": "Physician", "Report": 'con "coma", y\nsalto', "site": "a;b"}
            if random.random() < 0.1:
                row[label], keep = choice(random, NOTHING), False
        else:
            for one in FINDINGS:
                if random.random() < 0.1:
                    values[one] = None
                row[one] = padded(random, code(random, values[one]))
            keep = any(value is not None for value in values.values())
        if patient and random.random() < 0.05:
            row[patient], keep = choice(random, NOTHING), False
        row.pop("", None)
        case.rows.append(row)
        if keep:
            case.present[name], case.patients[name] = values, who
    return case


def written(random: Random, case: Case) -> bytes:
    """The table in one of the forms that files have."""
    end = choice(random, ["\n", "\r\n", "\r"]) if case.dataset != "padchest" else choice(random, ["\n", "\r\n"])
    stream = io.StringIO()
    writer = csv.writer(
        stream, lineterminator=end, quoting=csv.QUOTE_ALL if random.random() < 0.2 else csv.QUOTE_MINIMAL
    )
    writer.writerow([padded(random, name) if name else "" for name in case.columns])
    writer.writerows([row.get(name, "") for name in case.columns] for row in case.rows)
    text = choice(random, ["", "", f"sep=,{end}"]) + stream.getvalue()
    encoding = choice(random, ["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32"])
    content = text.encode(encoding)
    return gzip.compress(content, mtime=0) if random.random() < 0.1 else content


def check_cells(path: Path, case: Case, content: bytes) -> None:
    """Our reader's cells are those of Python's csv module."""
    raw = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    marks = {b"\xff\xfe\0\0": "utf-32", b"\xff\xfe": "utf-16"}
    encoding = next((name for mark, name in marks.items() if raw.startswith(mark)), "utf-8-sig")
    lines = list(csv.reader(io.StringIO(raw.decode(encoding), newline="")))
    if lines[0][0].startswith("sep="):
        lines = lines[1:]
    wanted = [name for name in case.columns if name and name != "Report"]
    ours = read_columns(path, wanted, what="a table")
    header = read_header(path)
    for name in wanted:
        place = header.index(name)
        assert ours[name].tolist() == [line[place].strip() for line in lines[1:] if line], name


def run_case(seed: int, number: int, folder: Path) -> str:
    """Run one case in `folder`: "read", or why the table was refused."""
    random = np.random.default_rng([seed, number])
    if random.random() < 0.25:
        return run_list(random, folder)
    case = build(random)
    odd = case.label != "" and random.random() < 0.1
    if odd:
        name = choice(random, FINDINGS).replace("e", choice(random, LIKE_E), 1).replace("s", choice(random, LIKE_S), 1)
        row = case.rows[int(random.integers(len(case.rows)))]
        row[case.label] = listed(random, [name], bars=case.dataset != "padchest")
        odd = row[case.label].isascii() is False and name not in FINDINGS
    path = folder / "case.csv"
    content = written(random, case)
    path.write_bytes(content)
    check_cells(path, case, content)
    try:
        table = read_table(case.dataset, path)
    except InputError as error:
        assert "\n" not in str(error)
        if odd:
            assert "(U+" in str(error), str(error)
            return str(error)
        # A column that happens to hold no code, or no list at all
        assert not case.present or "holds no 0 or 1" in str(error), str(error)
        return str(error)
    assert not odd, "a letter that looks like another is read"
    suffix = ".dicom" if case.dataset == "vindr" else ""
    stem = {name: name.removesuffix(".png") + suffix if suffix else name for name in case.present}
    rows = table.rows.set_index("image")
    assert sorted(rows.index) == sorted(stem.values()), (sorted(rows.index), sorted(stem.values()))
    if case.dataset != "vindr":
        assert {name: rows["patient"][name] for name in case.present} == case.patients
    names = [name for name in FINDINGS if name in table.vocabulary]
    matrix = dict(zip(table.rows["image"], table.matrix(names).tolist(), strict=True))
    for name, values in case.present.items():
        expected = [-1 if values[one] is None else values[one] for one in names]
        assert matrix[stem[name]] == expected, (name, matrix[stem[name]], expected)
        assert all(values[one] != 1 for one in FINDINGS if one not in names)
    assert set(table.vocabulary) <= {*FINDINGS, "normal", "No Finding"}, table.vocabulary
    return "read"


def run_list(random: Random, folder: Path) -> str:
    """A list of names in a random spelling names what it was meant to name."""
    images = [f"{number:08d}_{number % 3:03d}.png" for number in range(int(random.integers(1, 40)))]
    meant = [name for name in images if random.random() < 0.5] or images[:1]
    names = []
    for name in meant:
        name = choice(random, ["", "", "images/", "a\\b\\", "./"]) + name
        name = name[:-4] + choice(random, [".png", ".png", ".PNG", ".jpg", "", ".dcm"])
        quote = choice(random, ["", "", '"', "'"])
        names.append(padded(random, quote + name + quote) + choice(random, ["", "", ",", ";"]))
    random.shuffle(names)
    end = choice(random, ["\n", "\r\n", "\r", "\n\n"])
    text = choice(random, ["", "", "Image Index" + end]) + end.join(names) + choice(random, ["", end])
    path = folder / "case.txt"
    path.write_bytes(text.encode(choice(random, ["utf-8", "utf-8-sig", "utf-16", "utf-32"])))
    matched = match_names(path, read_names(path), pd.Series(images, dtype="str"))
    assert matched.strangers == [], matched.strangers
    assert [name for name, named in zip(images, matched.named, strict=True) if named] == meant
    return "read"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz_tables", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, metavar="K")
    parser.add_argument("--cases", type=int, help="default: as many as fit into the minutes")
    options = parser.parse_args()
    silence()
    failed, refused, until = [], 0, time.time() + 60 * options.minutes
    number = options.first
    with tempfile.TemporaryDirectory() as name:
        for number in itertools.count(options.first):
            if time.time() > until or number - options.first == options.cases:
                break
            try:
                refused += run_case(options.seed, number, Path(name)) != "read"
            except Exception:  # Any exception that gets here is a finding of the run
                failed.append(number)
                print(f"case {number} failed:\n{traceback.format_exc()}", flush=True)
    print(f"{number - options.first} cases, {refused} refused in one line, failed: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
