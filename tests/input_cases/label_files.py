"""Label tables that cannot be read, and rows that cannot be used."""

import gzip
from pathlib import Path

from tests.faults.spoiled import png_header
from tests.input_cases.case import HEADER, PARSE, Case, Spoil
from tests.input_cases.spoiling import both, delete, folder_instead, params, put, substitute
from tests.labels_files import padchest_row, write_padchest


def labels(*rows: str, header: str = HEADER) -> Spoil:
    """Adds rows in front of the good ones; with another header, only these remain."""

    def spoil(folder: Path) -> None:
        good = (folder / "labels.csv").read_text().removeprefix(HEADER) if header == HEADER else ""
        (folder / "labels.csv").write_text(header + "".join(f"{row}\n" for row in rows) + good)

    return spoil


def padchest(text: str) -> Spoil:
    """Turns the data set into PadChest's, with this text as labels of the first row."""

    def spoil(folder: Path) -> None:
        names = sorted(path.name for path in (folder / "images").iterdir())
        rows = [
            padchest_row(k, text if k == 0 else "['mass', 'nodule']", ImageID=name, PatientID=str(k // 2))
            for k, name in enumerate(names)
        ]
        write_padchest(folder / "labels.csv", rows)
        params(dataset__name="padchest", labels__tail_findings=["nodule"])(folder)

    return spoil


def cxrlt(header: str, row: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / "labels.csv").write_text(f"{header}\n{row}\n")
        params(dataset__name="cxrlt")(folder)

    return spoil


def _rows(count: int, **columns: str) -> str:
    return "".join(
        f"{columns.get('image', f'{k:08d}_000.png')},{columns.get('labels', 'Mass')},0,{k},050Y,M,PA\n"
        for k in range(count)
    )


def _stated(*splits: str) -> str:
    """Rows of a table of one's own that states the split of its twelve images, a patient each."""
    labels = ("Mass", "Mass|Nodule")
    return "".join(f"{k:08d}_000.png,{k},{splits[k % len(splits)]},{labels[k % 2]}\n" for k in range(12))


LABEL_FILES = (
    *(
        Case(
            "Label file",
            what,
            PARSE,
            params(dataset__labels=path),
            f"{path.replace('//', '/')}: cannot be read (No such file or directory: {why}); give an existing CSV file",
        )
        for what, path, why in (
            ("a path with ~", "~/labels.csv", "~ is expanded by a shell only; write the whole path"),
            (
                "a path with a variable",
                "$HOME/labels.csv",
                "variables are expanded by a shell only; write the whole path",
            ),
            ("an address", "https://example.org/labels.csv", "an address is not fetched; download it"),
            ("a path of Windows", "C:\\data\\labels.csv", "a path of Windows; write it as this machine does"),
        )
    ),
    Case(
        "Label file",
        "no file",
        PARSE,
        delete("labels.csv"),
        "labels.csv: cannot be read (No such file or directory); give an existing CSV file",
    ),
    Case(
        "Label file",
        "a folder",
        PARSE,
        folder_instead("labels.csv"),
        "labels.csv: is a folder; give the CSV file itself",
    ),
    Case(
        "Label file",
        "empty",
        PARSE,
        put("labels.csv", ""),
        "labels.csv: is empty or starts with an empty line; expected a CSV file with a header line",
    ),
    Case(
        "Label file",
        "empty first line",
        PARSE,
        put("labels.csv", "\n" + HEADER),
        "labels.csv: is empty or starts with an empty line; expected a CSV file with a header line",
    ),
    Case(
        "Label file",
        "header only",
        PARSE,
        put("labels.csv", HEADER),
        "labels.csv: has a header but no rows; expected an NIH ChestX-ray14 label table",
    ),
    Case(
        "Label file",
        "a column missing",
        PARSE,
        labels("a.png,Mass,0,1,50,M,PA", header=HEADER.replace("Finding Labels", "Labels")),
        "labels.csv: column 'Finding Labels' is missing; an NIH ChestX-ray14 label table is comma-separated and has the "
        "columns Image Index, Finding Labels, Patient ID, View Position; found: Image Index, Labels, ...",
    ),
    Case(
        "Label file",
        "a column twice",
        PARSE,
        labels(
            "a.png,Mass,0,1,50,M,Mass",
            header=HEADER.replace("View Position", "Finding Labels").replace("Patient Gender", "View Position"),
        ),
        "labels.csv: column 'Finding Labels' appears 2 times; it must appear once",
    ),
    Case(
        "Label file",
        "semicolons",
        PARSE,
        put("labels.csv", HEADER.replace(",", ";") + "a.png;Mass;0;1;50;M;PA\n"),
        "labels.csv: is separated by semicolons; save it with commas between the columns (CSV, UTF-8)",
    ),
    Case(
        "Label file",
        "an image",
        PARSE,
        put("labels.csv", png_header(64, 64)),
        "labels.csv: is an image; give the CSV file itself",
    ),
    Case(
        "Label file",
        "Latin-1",
        PARSE,
        put("labels.csv", (HEADER + _rows(3, labels="M\u00e1s")).encode("latin-1")),
        "labels.csv: row 1 is not text in UTF-8; save the table as CSV in UTF-8, or download it again if it is damaged",
    ),
    Case(
        "Label file",
        "a row with another number of columns",
        PARSE,
        labels("00000000_000.png,Mass,0,1"),
        "labels.csv: row 1 has 4 columns, the header 7: the file is cut short or damaged, or a value with a comma or a "
        "quote in it is not quoted",
    ),
    Case(
        "Label file",
        "gzip cut short",
        PARSE,
        put("labels.csv", gzip.compress((HEADER + _rows(900)).encode())[:200]),
        "labels.csv: ...damaged...cut short...",
    ),
    Case(
        "Label file",
        "patient ids that a spreadsheet rounded",
        PARSE,
        labels("a.png,Mass,0,3.24E+38,50,M,PA"),
        "labels.csv: row 1: Patient ID '3.24E+38' is a rounded number, so different ids may have become one; export the "
        "table from its source again, with ids as text",
    ),
    Case(
        "Label file",
        "names of images that do not exist",
        PARSE,
        put("labels.csv", HEADER + "".join(f"x{k}.png,Mass,0,{k},050Y,M,PA\n" for k in range(3))),
        "labels.csv: no image is left of 3 rows (image file missing: 3); check 'dataset.images' and the filters in 'labels'",
    ),
    Case(
        "Label file",
        "a projection that is not in the table",
        PARSE,
        params(labels__projections=["LATERAL"]),
        "labels.csv: 'labels.projections' (LATERAL) leaves no row; the table has: 'PA'",
    ),
    Case(
        "Label file",
        "a finding that is not in the table",
        PARSE,
        params(labels__findings=["Mas"]),
        "'labels.findings': labels.csv has no label 'Mas'; did you mean 'Mass'?",
    ),
    Case(
        "Label file",
        "a finding that a class table has merged into another",
        PARSE,
        both(
            put("t.csv", "class,padchest_labels\nlump,Mass|Nodule\n"),
            params(labels__class_table="t.csv", labels__findings=["Mass"]),
        ),
        "'labels.findings': t.csv, for the labels of labels.csv, has no class 'Mass'; it has lump",
    ),
    Case(
        "Label file",
        "a tail finding that is not in the table",
        PARSE,
        params(labels__tail_findings=["hernia of a kind"]),
        "'labels.tail_findings': labels.csv has no label 'hernia of a kind'; it has Mass, Nodule",
    ),
    Case(
        "Label file",
        "every finding too rare",
        PARSE,
        params(labels__min_positives=50),
        "labels.csv: no finding has 50 positives among 4 training images; lower 'labels.min_positives' or give more images",
    ),
    Case(
        "Label file",
        "no row with labels",
        PARSE,
        put("labels.csv", HEADER + _rows(9, labels="")),
        "labels.csv: no row can be used (labels missing: 9; the first: row 1, image '00000000_000.png'); correct the rows",
    ),
    Case(
        "Label file",
        "a split without an image, by the split file",
        PARSE,
        substitute("splits.csv", "2,test\n3,train\n4,val\n5,test", "2,train\n3,train\n4,val\n5,train"),
        "splits.csv: the test split has no image; put more patients of the label table into it",
    ),
    *(
        Case(
            "Label file",
            f"a split without an image, by fractions: {key}",
            PARSE,
            params(dataset__split_file=None, **changes),
            f"labels.csv: the {split} split has no image; {remedy}, or give 'dataset.split_file'",
        )
        for key, split, changes, remedy in (
            ("test", "test", {"labels__test_fraction": 0.0}, "raise 'labels.test_fraction'"),
            (
                "validation",
                "val",
                {"labels__test_fraction": 0.4, "labels__validation_fraction": 0.0},
                "raise 'labels.validation_fraction'",
            ),
            (
                "training",
                "train",
                {"labels__test_fraction": 0.99, "labels__validation_fraction": 0.0},
                "lower 'labels.validation_fraction' or 'labels.test_fraction'",
            ),
        )
    ),
    Case(
        "Label file",
        "a split without an image, by a column",
        PARSE,
        both(
            put("labels.csv", "image,patient,split,labels\n" + _stated("train", "train", "test")),
            params(dataset__name="folder", dataset__split_file=None, labels__tail_findings=["Mass"]),
        ),
        "labels.csv: the val split has no image; leave the split of other patients blank, so that some are drawn into it by "
        "seed, or give 'dataset.split_file'",
    ),
    Case(
        "Label file",
        "a split without a positive",
        PARSE,
        both(
            put(
                "labels.csv",
                "image,patient,split,labels\n"
                + _stated("train", "val", "test").replace("Mass|Nodule", "Mass").replace("test,Mass", "test,normal"),
            ),
            params(dataset__name="folder", dataset__split_file=None, labels__tail_findings=["Mass"]),
        ),
        "labels.csv: the test split (4 images) has no positive of any class; put more patients into it, or give "
        "'dataset.split_file'",
    ),
    Case(
        "Label file",
        "a finding named like a column",
        PARSE,
        substitute("labels.csv", "Mass|Nodule", "Mass|split|Nodule"),
        "labels.csv: a finding is called 'split', as a column of labels.parquet is; rename the finding",
    ),
    Case(
        "Label file",
        "CXR-LT: no column of a finding",
        PARSE,
        cxrlt("ImageID,PatientID", "a.png,1"),
        "labels.csv: has no column of a finding; a CXR-LT label table has one for each finding",
    ),
    Case(
        "Label file",
        "CXR-LT: a column of text",
        PARSE,
        cxrlt("ImageID,PatientID,Mass,Note", "a.png,1,1,hello"),
        "labels.csv: column 'Note' holds no 0 or 1 (its first value is 'hello'), so it is not a finding's column; remove it",
    ),
    Case("Label rows", "no image name", PARSE, labels(",Mass,0,1,50,M,PA"), "image name missing", True),
    Case("Label rows", "an absolute path", PARSE, labels("/etc/passwd,Mass,0,1,50,M,PA"), "image name is a path", True),
    Case("Label rows", "a path upwards", PARSE, labels("../secret.png,Mass,0,1,50,M,PA"), "image name is a path", True),
    Case(
        "Label rows",
        "a path of another operating system",
        PARSE,
        labels("C:secret.png,Mass,0,1,50,M,PA"),
        "image name is a path",
        True,
    ),
    Case("Label rows", "the folder above", PARSE, labels("..,Mass,0,1,50,M,PA"), "image name is a path", True),
    Case("Label rows", "no patient", PARSE, labels("a.png,Mass,0,,50,M,PA"), "patient id missing", True),
    Case("Label rows", "no labels", PARSE, labels("a.png,,0,1,50,M,PA"), "labels missing", True),
    Case(
        "Label rows",
        "a row twice",
        PARSE,
        labels("00000003_000.png,Mass|Nodule,0,1,050Y,M,PA"),
        "duplicate image name",
        True,
    ),
    Case(
        "Label rows",
        "one image with two label lists",
        PARSE,
        labels("00000003_000.png,Mass,0,1,050Y,M,PA"),
        "image listed with contradicting rows",
        True,
    ),
    Case(
        "Label rows",
        "an image of two patients",
        PARSE,
        labels("00000003_000.png,Mass|Nodule,0,77,050Y,M,PA"),
        "image listed with contradicting rows",
        True,
    ),
    Case(
        "Label rows",
        "no image file of that name",
        PARSE,
        labels("gone.png,Mass,0,1,50,M,PA"),
        "image file missing",
        True,
    ),
    Case(
        "Label rows",
        "PadChest: labels that are code",
        PARSE,
        padchest("__import__('os').abort()"),
        "labels are not a list of texts",
        True,
    ),
    Case(
        "Label rows",
        "PadChest: labels cut short",
        PARSE,
        padchest("['mass', 'nod"),
        "labels are not a list of texts",
        True,
    ),
    Case("Label rows", "PadChest: an empty list", PARSE, padchest("[]"), "no label", True),
    Case("Label rows", "PadChest: 'nan'", PARSE, padchest("nan"), "labels missing", True),
)
