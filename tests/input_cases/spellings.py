"""Label tables that other programs have rewritten, and lists of names that do not fit."""

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from tests.input_cases.case import HEADER, PARSE, Case, Spoil
from tests.input_cases.label_files import cxrlt, labels, padchest
from tests.input_cases.spoiling import both, params, put, substitute

GROUP, ROWS, IDS, NAMES, FILES = "Label spelling", "Label rows", "Patient ids", "Name lists", "Table files"


def nih(text: str, patient: str = "1") -> Spoil:
    """An NIH row with these labels and patient in front of the good ones."""
    return labels(f'x.png,"{text}",0,"{patient}",50,M,PA')


def saved(method: str) -> Spoil:
    """The table as this method of pandas saves it; names are letters alone, as Stata wants them."""

    def spoil(folder: Path) -> None:
        table = pd.read_csv(folder / "labels.csv").rename(columns=lambda name: re.sub(r"\W", "", name))
        getattr(table, method)(folder / "labels.csv")

    return spoil


def own(header: str, *rows: str) -> Spoil:
    """A table of one's own."""
    return both(put("labels.csv", "\n".join([header, *rows]) + "\n"), params(dataset__name="folder"))


def official(test: str, training: str | None = None, *, file: str = "test_list.txt") -> Spoil:
    """NIH's lists beside the table, and no split file."""

    def spoil(folder: Path) -> None:
        (folder / file).write_text(test)
        if training is not None:
            (folder / "train_val_list.txt").write_text(training)
        params(dataset__split_file=None)(folder)

    return spoil


def images(*numbers: int) -> str:
    return "".join(f"{number:08d}_000.png\n" for number in numbers)


def mimic(labels_: str, metadata: str, split: str | None = None) -> Spoil:
    """MIMIC-CXR-JPG's tables with rows of three ids, or of an image and a split."""
    from trcgl.labels.chexpert import FINDINGS

    def spoil(folder: Path) -> None:
        codes = ",".join(["1"] + ["0"] * (len(FINDINGS) - 1))
        rows = "".join(f"{row},{codes}\n" for row in labels_.split())
        (folder / "mimic-cxr-2.0.0-chexpert.csv").write_text(f"subject_id,study_id,{','.join(FINDINGS)}\n{rows}")
        (folder / "mimic-cxr-2.0.0-metadata.csv").write_text(
            "dicom_id,subject_id,study_id,ViewPosition\n" + "".join(f"{row},PA\n" for row in metadata.split())
        )
        if split is not None:
            (folder / "mimic-cxr-2.0.0-split.csv").write_text(
                "dicom_id,split\n" + "".join(f"{row}\n" for row in split.split())
            )
        params(dataset__name="mimic", dataset__labels="mimic-cxr-2.0.0-chexpert.csv")(folder)

    return spoil


def _one_file_twice(folder: Path) -> None:
    """Two rows of the table, of two patients, that name one file: by its name, and by its path."""
    (folder / "images/x").mkdir()
    (folder / "images/00000000_000.png").rename(folder / "images/x/00000000_000.png")
    rows = [f"{k:08d}_000.png,{k},{('train', 'val', 'test')[k % 3]},{k % 2},1" for k in range(12)]
    own("image,patient,split,Mass,Nodule", "x/00000000_000.png,77,test,1,0", *rows)(folder)
    params(dataset__split_file=None, labels__tail_findings=["Mass"])(folder)


def _pipe(folder: Path) -> None:
    (folder / "labels.csv").unlink()
    os.mkfifo(folder / "labels.csv")


IF_ABSENT = "if a blank (or -1) means absent, set 'labels.missing' (or 'labels.uncertain') to negative"
AGAIN = "export the table from its source again, with ids as text"
ROUNDED, NO_ID = f"so different ids may have become one; {AGAIN}", f"not an id; {AGAIN}"
OR_NONE = "or remove it to do without the official split"
SEVERAL = "seems to be several labels; write lists like Mass|Nodule, or rename the finding"


SPELLINGS = (
    # What is no label
    *(
        Case(ROWS, f"NIH: labels {word}", PARSE, nih(word), "labels missing", True)
        for word in ("nan", "NaN", "NA", "N/A", "None", "null", "#N/A", "-", "?", "''", "#REF!", "unknown")
    ),
    Case(ROWS, "NIH: one label NA", PARSE, nih("Mass|NA"), "a label of the list is missing", True),
    *(Case(ROWS, f"patient {word}", PARSE, nih("Mass", word), "patient id missing", True) for word in ("NA", "None", "#N/A", "####", "-9223372036854775808", "inf", "ANONYMOUS")),
    Case(
        ROWS, "one file under two names", PARSE,
        _one_file_twice, "image file is of several rows", True,
    ),
    Case(ROWS, "PadChest: labels without commas", PARSE, padchest("['mass' 'nodule']"), "labels are not a list of texts", True),
    Case(
        GROUP, "a number for a label", PARSE, nih("1"),
        "labels.csv: row 1: Finding Labels '1' is a number, not the name of a finding; give the column of names",
    ),
    # Lists in other spellings
    *(
        Case(
            GROUP, f"labels separated by '{mark.strip()}'", PARSE, nih(f"Mass{mark}Nodule"),
            f"labels.csv: row 1: Finding Labels 'Mass{mark}Nodule' {SEVERAL}",
        )
        for mark in (", ", ";", "/", " + ", " & ", "\uff0c", "\u3001", "\uff1b", ":", " - ", " and ")
    ),
    Case(
        GROUP, "a label with its probability", PARSE, nih("Mass:0.9"),
        "labels.csv: row 1: Finding Labels 'Mass:0.9' has a number behind it; give the names of findings alone",
    ),
    Case(
        GROUP, "a share behind a name", PARSE, nih("Mass 90 %"),
        "labels.csv: row 1: Finding Labels 'Mass 90 %' has a number behind it; give the names of findings alone",
    ),
    Case(
        GROUP, "a row of codes as a label", PARSE, nih("1 0 1"),
        "labels.csv: row 1: Finding Labels '1 0 1' is a number, not the name of a finding; give the column of names",
    ),
    Case(
        GROUP, "a list with the markup of a web page", PARSE, nih("Mass<br>Nodule"),
        "labels.csv: row 1: Finding Labels 'Mass<br>Nodule' holds signs of a web page's markup; write lists like ...",
    ),
    Case(
        GROUP, "a label whose UTF-8 was read in another encoding", PARSE, nih("D\u00c3\u00a9rame"),
        "labels.csv: row 1: Finding Labels 'D\u00c3\u00a9rame' seems to be 'D\u00e9rame', which was read in another encoding; save the "
        "table as UTF-8 anew",
    ),
    Case(
        GROUP, "CXR-LT: a column whose UTF-8 was read in another encoding", PARSE, cxrlt("ImageID,PatientID,D\u00c3\u00a9rame", "a.png,1,1"),
        "labels.csv: column 'D\u00c3\u00a9rame' seems to be 'D\u00e9rame', which was read in another encoding; save the table as UTF-8 "
        "anew",
    ),
    *(
        Case(
            GROUP, f"a label that {what}", PARSE, nih(f"{text}|Nodule"),
            f"labels.csv: row 1: Finding Labels '{text}' would be a second finding beside 'Mass'; list only findings that are "
            "present, each by its plain name (absent ones are left out)",
        )
        for what, text in (
            ("denies another", "no Mass"), ("doubts another", "possible Mass"), ("affirms another", "Mass (yes)"),
        )
    ),
    Case(
        GROUP, "a label with a question mark", PARSE, nih("Mass?"),
        "labels.csv: row 1: Finding Labels 'Mass?' has a question mark, for a doubt or a lost letter; write the finding's name alone",
    ),
    Case(
        GROUP, "CXR-LT: a column that denies another", PARSE, cxrlt("ImageID,PatientID,Mass,no Mass", "a.png,1,1,0"),
        "labels.csv: column 'no Mass' would be a second finding beside 'Mass'; merge it into the column 'Mass' (1, 0, or -1 for "
        "a doubt)",
    ),
    Case(
        "Views and sexes", "a sex H beside M", PARSE, own("image,patient,sex,Mass", "a.png,1,M,1", "b.png,2,H,0"),
        "labels.csv: row 2: sex is 'H', so 'M' may be male or mujer; write M for male and F for female",
    ),
    *(
        Case(
            "Image files", f"a name that differs in {what}", PARSE,
            own("image,patient,Mass", f"{name},1,1", f"{other},2,0"),
            f"labels.csv: no image is left of 2 rows (image file missing: 2); for '{name}' the folder has '00000000_000.png': "
            "correct the name in the table, or rename the file; check ...",
        )
        for what, name, other in (
            ("its format", "00000000_000.jpg", "x.png"), ("what stands between", "00000000 000.png", "x.png"),
            ("percent signs", "00000000%5F000.png", "x.png"), ("leading zeros", "0_000.png", "x.png"),
            ("a folder that is not there", "deep//00000000_000.png", "x.png"),
        )
    ),
    Case(
        GROUP, "labels separated by tabs", PARSE, nih("Mass\tNodule"),
        "labels.csv: row 1: Finding Labels 'Mass\\tNodule' holds a character that is not text; write it out",
    ),
    Case(
        GROUP, "PadChest: labels separated by '|' in one text", PARSE, padchest("['mass|nodule']"),
        "labels.csv: row 1: Labels 'mass|nodule' seems to be several labels; write lists like ['mass', 'nodule'], or rename the "
        "finding",
    ),
    Case(
        GROUP, "a quote on one side", PARSE, nih("'Mass|Nodule"),
        "labels.csv: row 1: Finding Labels ''Mass' has a quote or bracket on one side; close it, or remove it",
    ),
    Case(
        GROUP, "PadChest: no row is a list", PARSE,
        both(
            put("labels.csv", "ImageID,StudyID,PatientID,Projection,MethodLabel,Labels\na.png,1,1,PA,Physician,mass|nodule\n"),
            params(dataset__name="padchest"),
        ),
        "labels.csv: row 1: Labels 'mass|nodule' is not a list of labels, and no row has one; write lists like "
        "['mass', 'nodule']",
    ),
    # One finding in two spellings
    *(
        Case(
            GROUP, f"one finding also as '{other}'", PARSE, nih(other),
            f"labels.csv: row 2: Finding Labels 'Mass' is the finding '{other}' of row 1 in another spelling; write it in one "
            "way",
        )
        for other in ("mass", "MASS", "Mass.", "M\u00e1ss", "M ass")
    ),
    Case(
        GROUP, "CXR-LT: one finding in two columns", PARSE, cxrlt("ImageID,PatientID,Lung Mass,lung_mass", "a.png,1,1,0"),
        "labels.csv: columns 'Lung Mass' and 'lung_mass' are one finding in two spellings; keep one",
    ),
    Case(
        GROUP, "CXR-LT: a column that pandas numbered", PARSE, cxrlt("ImageID,PatientID,Mass,Mass.1", "a.png,1,1,0"),
        "labels.csv: column 'Mass.1' is a repeated one that pandas has numbered; keep one of the two",
    ),
    Case(
        GROUP, "a label that names no finding in another spelling", PARSE, nih("No finding"),
        "'labels.not_findings' has 'No Finding', labels.csv has 'No finding'; write both in one way, or name both",
    ),
    Case(
        GROUP, "a view in another spelling", PARSE,
        both(substitute("labels.csv", "M,PA", "M,pa"), params(labels__projections=["PA"])),
        "labels.csv: 'pa' stands in 1 row, and 'labels.projections' names 'PA'; write both alike, or name both",
    ),
    *(
        Case(
            GROUP, f"a label with a {kind}", PARSE, nih(label),
            f"labels.csv: row 1: Finding Labels '{label}' has the letter '{letter}' ({named}; write '{right}'",
        )
        for kind, label, letter, named, right in (
            ("Cyrillic letter", "\u0410telectasis", "\u0410", "U+0410, cyrillic capital letter a) in a Latin word", "Atelectasis"),
            ("Greek letter", "N\u03bfdule", "\u03bf", "U+03BF, greek small letter omicron) in a Latin word", "Nodule"),
            ("Cyrillic word", "Kerley \u0412", "\u0412", "U+0412, cyrillic capital letter ve) among Latin words", "Kerley B"),
            ("wide letter", "\uff2d\uff41\uff53\uff53", "\uff2d", "U+FF2D, fullwidth latin capital letter m), a form of plain letters", "Mass"),
            ("mathematical letter", "\U0001d40cass", "\U0001d40c", "U+1D40C, mathematical bold capital m), a form of plain letters", "Mass"),
            ("ligature", "\ufb01brosis", "\ufb01", "U+FB01, latin small ligature fi), a form of plain letters", "fibrosis"),
        )
    ),
    Case(
        GROUP, "CXR-LT: a column with a Cyrillic letter", PARSE, cxrlt("ImageID,PatientID,M\u0430ss", "a.png,1,1"),
        "labels.csv: column 'M\u0430ss' has the letter '\u0430' (U+0430, cyrillic small letter a) in a Latin word; write 'Mass'",
    ),
    Case(
        GROUP, "a tail finding with a Cyrillic letter", PARSE, params(labels__tail_findings=["N\u043edule"]),
        "params.yaml: 'labels.tail_findings[0]' is 'N\u043edule', which has the letter '\u043e' (U+043E, cyrillic small letter o) "
        "in a Latin word; write 'Nodule'",
    ),
    Case(
        GROUP, "a class table with a Cyrillic letter", PARSE,
        both(put("t.csv", "class,padchest_labels\nlump,M\u0430ss|Nodule\n"), params(labels__class_table="t.csv")),
        "t.csv: row 1: 'M\u0430ss|Nodule' has the letter '\u0430' (U+0430, cyrillic small letter a) in a Latin word; write "
        "'Mass|Nodule'",
    ),
    # Codes
    Case(
        GROUP, "CXR-LT: no row has codes", PARSE, cxrlt("ImageID,PatientID,Mass,Note", "a.png,1,1,yes\nb.png,2,0,no"),
        "labels.csv: column 'Note' holds no 0 or 1 (its first value is 'yes'), so it is not a finding's column; remove "
        "it",
    ),
    Case(
        GROUP, "CXR-LT: a value that is no code in every row", PARSE,
        cxrlt("ImageID,PatientID,Mass,Nodule", "a.png,1,1,x\nb.png,2,x,0"),
        "labels.csv: row 1: column 'Nodule' holds 'x', which is not 1, 0, -1 or blank, and every row has such a value; correct these "
        "values",
    ),
    Case(
        GROUP, "VinDr-CXR: the table of boxes", PARSE,
        both(
            put("labels.csv", "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\na,Mass,1,R1,1,2,3,4\n"),
            params(dataset__name="vindr"),
        ),
        "labels.csv: is a table of boxes (it has the column 'class_id'), not of image labels; give image_labels_train.csv "
        "and image_labels_test.csv, or their folder",
    ),
    Case(
        GROUP, "1s and blanks", PARSE,
        both(own("image,patient,split,Mass", *(f"{k:08d}_000.png,{k},{('train', 'val', 'test')[k % 3]},{'1' if k < 6 else ''}" for k in range(12))), params(labels__tail_findings=None, dataset__split_file=None)),
        "labels.csv: finding 'Mass' has 2 positives and no negative in training (images unknown: 0, rows without a label: 6); "
        f"{IF_ABSENT}, else add 'Mass' to 'labels.not_findings'",
    ),
    Case(
        GROUP, "one column of 1s and blanks", PARSE,
        both(
            own(
                "image,patient,split,Mass,Nodule",
                *(f"{k:08d}_000.png,{k},{('train', 'val', 'test')[k % 3]},{'1' if k < 6 else ''},{k % 2}" for k in range(12)),
            ),
            params(dataset__split_file=None),
        ),
        "labels.csv: finding 'Mass' has 2 positives and no negative in training (images unknown: 2, rows without a label: 0); "
        f"{IF_ABSENT}, else add 'Mass' to 'labels.not_findings'",
    ),
    Case(
        GROUP, "a listed finding of 1s and blanks", PARSE,
        both(
            own(
                "image,patient,split,Mass,Nodule",
                *(f"{k:08d}_000.png,{k},{('train', 'val', 'test')[k % 3]},{'1' if k < 6 else ''},{k % 2}" for k in range(12)),
            ),
            params(dataset__split_file=None, labels__findings=["Mass", "Nodule"]),
        ),
        "labels.csv: finding 'Mass' has 2 positives and no negative in training (images unknown: 2, rows without a label: 0); "
        f"{IF_ABSENT}, else remove 'Mass' from 'labels.findings'",
    ),
    # Ids
    *(
        Case(
            IDS, what, PARSE, nih("Mass", patient),
            f"labels.csv: row 1: Patient ID '{patient}' {wrong}, {remedy}",
        )
        for what, patient, wrong, remedy in (
            ("rounded, with a decimal comma", "3,24E+38", "is a rounded number", ROUNDED),
            ("rounded to 15 digits by a spreadsheet", "324512345678901" + "0" * 23, "is rounded to the digits that a spreadsheet or a float keeps", ROUNDED),
            ("rounded to a float", "12345678901234567525491324606797053952", "is rounded to the digits that a spreadsheet or a float keeps", ROUNDED),
            ("a float among whole numbers", "7.0", "is a float, but not all ids are", "so one patient may be two; write all ids one way"),
            ("the largest whole number, in place of longer ones", "9223372036854775807", "is the largest whole number that a column of a table holds", ROUNDED),
            ("a date without zeros", "4.3.2015", "is a date", NO_ID),
            ("a date", "2015-01-02", "is a date", NO_ID),
            ("an id that a spreadsheet took for a month", "Mar-05", "is a date", NO_ID),
            ("an id that a spreadsheet took for a time", "12:30", "is a time of day", NO_ID),
            ("an id that a Spanish spreadsheet took for a date", "05-ene", "is a date", NO_ID),
            ("an id that a spreadsheet took for a date", "03-Dec", "is a date", NO_ID),
        )
    ),
    Case(
        IDS, "a null in an id", PARSE, nih("Mass", "7\0"),
        "labels.csv: row 1: Patient ID '7\\x00' holds a character that is not text, so two ids may look "
        "alike; write ids as text",
    ),
    Case(
        IDS, "two files that would have one name", PARSE, own("image,patient,labels", "x_a.png,1,Mass", "x/a.png,2,Mass"),
        "labels.csv: image 'x_a.png' of row 1 and 'x/a.png' of row 2 would both be called 'x_a.png'; rename one, in the "
        "table and in its folder",
    ),
    # Lists of names
    Case(
        NAMES, "NIH's test list names no image of the table", PARSE, official("a.png\nb.png\n"),
        f"test_list.txt: the label table has 0 of its 2 names (it lacks 'a.png' and 1 more); give the list of this data set, {OR_NONE}",
    ),
    Case(
        NAMES, "NIH's training list names no image of the table", PARSE, official(images(0, 1), "a.png\n"),
        "train_val_list.txt: the label table has 0 of its 1 names (it lacks 'a.png'); give the list of this data set, or remove "
        "both lists to do without the official split",
    ),
    Case(
        NAMES, "NIH's test list with a name of two images", PARSE,
        both(official(images(0, 1) + "00000099_000\n"), labels(*(f"00000099_000.{kind},Mass,0,9,50,M,PA" for kind in ("png", "jpg")))),
        f"test_list.txt: '00000099_000' fits several images of the label table, which differ in suffix; write the suffix as there, {OR_NONE}",
    ),
    Case(
        NAMES, "NIH's test list with a name that is none", PARSE, official(images(0, 1) + "0000002_000.png\n"),
        f"test_list.txt: '0000002_000.png' is not named like the images of the label table; correct it, {OR_NONE}",
    ),
    Case(
        NAMES, "NIH's test list of which the table has most names", PARSE, official(images(0, 1, 77)),
        "test_list.txt: the label table has 2 of its 3 names (it lacks '00000077_000.png'); correct the list, or put "
        "train_val_list.txt beside it, so that every image can be checked",
    ),
    Case(
        NAMES, "NIH's test list divides a patient", PARSE, official(images(0, 1, 2)),
        "test_list.txt: names some images of a patient, but not '00000003_000.png' of the same patient; add what is missing, "
        "for a patient belongs to one split",
    ),
    Case(
        NAMES, "NIH's test list divides two patients", PARSE, official(images(0, 2)),
        "test_list.txt: names some images of a patient, but not '00000001_000.png' of the same patient (nor 1 more such "
        "images); add what is missing, for a patient belongs to one split",
    ),
    Case(
        NAMES, "an image in both of NIH's lists", PARSE, official(images(0, 1), images(*range(1, 12))),
        "test_list.txt: image '00000001_000.png' of the label table is in both test_list.txt and train_val_list.txt; list each "
        "image in one of them",
    ),
    Case(
        NAMES, "an image in neither of NIH's lists", PARSE, official(images(0, 1), images(*range(4, 12))),
        "test_list.txt: image '00000002_000.png' of the label table is in neither test_list.txt nor train_val_list.txt (as are "
        "1 more); list each image in one of them",
    ),
    Case(
        NAMES, "NIH's training list alone", PARSE, both(official("", images(0)), lambda folder: (folder / "test_list.txt").unlink()),
        "train_val_list.txt: test_list.txt is not beside it; add it, or remove this list",
    ),
    Case(
        NAMES, "NIH's test list under another name", PARSE, official(images(0, 1), file="Test_List.txt"),
        "Test_List.txt: seems to be the official test_list.txt; rename it, or move it elsewhere",
    ),
    Case(NAMES, "NIH's test list empty", PARSE, official("\n"), "test_list.txt: names no image; give a name per line, or remove the file"),
    Case(
        NAMES, "CXR-LT: a list of images to leave out that names none of them", PARSE,
        both(cxrlt("ImageID,PatientID,Mass", "a.png,1,1"), put("Removal.csv", "ImageID\nq.png\n")),
        "Removal.csv: the label table has 0 of its 1 names (it lacks 'q.png'); correct the list, or remove it if it is of another "
        "table",
    ),
    Case(
        NAMES, "a split file that lacks a patient", PARSE, substitute("splits.csv", "5,test\n", ""),
        "splits.csv: lists 5 of the 6 patients of the label table, not '5'; add the missing ones, or remove their rows from the "
        "label table",
    ),
    Case(
        NAMES, "a split file with a row of nobody", PARSE, substitute("splits.csv", "5,test", "5,test\nNA,train"),
        "splits.csv: row 7 (header not counted): patient 'NA' names nobody; remove this row",
    ),
    Case(
        NAMES, "MIMIC-CXR: two files without a common study", PARSE, mimic("1,10", "a,1,11"),
        "mimic-cxr-2.0.0-chexpert.csv: none of its studies (such as '10') is in mimic-cxr-2.0.0-metadata.csv; give the two files "
        "of one release, with ids as text",
    ),
    Case(
        NAMES, "MIMIC-CXR: no list of images", PARSE,
        both(mimic("1,10", "a,1,10"), lambda folder: (folder / "mimic-cxr-2.0.0-metadata.csv").unlink()),
        "mimic-cxr-2.0.0-chexpert.csv: the list of images, mimic-cxr-2.0.0-metadata.csv.gz, is not beside it; download it to "
        "this folder",
    ),
    Case(
        NAMES, "MIMIC-CXR: a study twice", PARSE, mimic("1,10 1,11 1,10", "a,1,10"),
        "mimic-cxr-2.0.0-chexpert.csv: row 3: study '10' has a row already; keep one",
    ),
    Case(
        NAMES, "MIMIC-CXR: a study of two patients", PARSE, mimic("1,10", "a,2,10"),
        "mimic-cxr-2.0.0-metadata.csv: row 1: study '10' is of patient '2' here and of '1' in mimic-cxr-2.0.0-chexpert.csv; "
        "give the two files of one release",
    ),
    Case(
        NAMES, "MIMIC-CXR: a split that lacks an image", PARSE, mimic("1,10", "a,1,10 b,1,10", "a,train"),
        "mimic-cxr-2.0.0-split.csv: has a split for 1 of 2 images, not for 'b'; give the split of the same release, or remove "
        "the file to do without it",
    ),
    Case(
        NAMES, "MIMIC-CXR: an image in two splits", PARSE, mimic("1,10", "a,1,10", "a,train a,test"),
        "mimic-cxr-2.0.0-split.csv: image 'a' is in two splits; keep it in one",
    ),
    # Files
    *(
        Case(
            FILES, f"separated by {name}", PARSE, put("labels.csv", HEADER.replace(",", mark)),
            f"labels.csv: is separated by {name}; save it with commas between the columns (CSV, UTF-8)",
        )
        for name, mark in (("tabs", "\t"), ("vertical bars", "|"))
    ),
    Case(
        FILES, "a spreadsheet's line sep=;", PARSE, put("labels.csv", "sep=;\n" + HEADER.replace(",", ";")),
        "labels.csv: is separated by semicolons; save it with commas between the columns (CSV, UTF-8)",
    ),
    Case(
        FILES, "UTF-16 without its mark", PARSE, put("labels.csv", HEADER.encode("utf-16-le")),
        "labels.csv: seems to be UTF-16 text without a byte order mark (BOM); save it as UTF-8",
    ),
    Case(
        FILES, "EBCDIC", PARSE, put("labels.csv", (HEADER + "a.png,Mass,0,1,50,M,PA\n").encode("cp037")),
        "labels.csv: seems to be EBCDIC text, of a mainframe; save it as UTF-8",
    ),
    Case(
        GROUP, "a label in UTF-7", PARSE, nih("D+AOk-rame"),
        "labels.csv: row 1: Finding Labels 'D+AOk-rame' seems to be 'D\u00e9rame', which was read in another encoding; save the "
        "table as UTF-8 anew",
    ),
    Case(
        FILES, "UTF-16 cut short", PARSE, put("labels.csv", (HEADER + "a.png,Mass,0,1,50,M,PA\n").encode("utf-16")[:-1]),
        "labels.csv: is damaged, cut short or not text in UTF-16 (...); download it again",
    ),
    Case(
        FILES, "an Excel workbook", PARSE, put("labels.csv", b"PK\x03\x04" + bytes(99)),
        "labels.csv: is a zip archive or an Excel workbook; unpack it, or save the sheet as CSV",
    ),
    *(
        Case(FILES, what, PARSE, put("labels.csv", content), f"labels.csv: is {seen}")
        for what, content, seen in (
            ("a web page", "<!DOCTYPE html>\n", "a web page, such as a server's error message; download the file again"),
            ("JSON", '[{"image": "a.png"}]\n', "JSON; save it as CSV"),
            ("a pointer of Git LFS", "version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer; `git lfs pull` fetches the file"),
            ("Parquet", b"PAR1" + bytes(9), "a Parquet file; save it as CSV"),
            ("a database", b"SQLite format 3\0", "an SQLite database; export the table as CSV"),
            ("an array", b"\x93NUMPY\1\0", "a NumPy array; save the table as CSV"),
            ("SPSS", b"$FL2@(#) SPSS DATA FILE", "an SPSS file; export the table as CSV"),
            ("SAS, for transport", b"HEADER RECORD*******LIBRARY HEADER", "a SAS transport file; export the table as CSV"),
            ("R, packed", gzip.compress(b"X\n\0\0\0\3\0\4\2\1"), "an R object (RDS); save the table as CSV"),
            ("UTF-7, with its mark", "+/v8-" + HEADER, "text in UTF-7; save it as UTF-8"),
            ("UTF-7", HEADER.encode("utf-7") + 3 * "a.png,t\u00f3rax,0,1,50,M,PA\n".encode("utf-7"), "text in UTF-7; save it as UTF-8"),
        )
    ),
    *(
        Case(FILES, what, PARSE, saved(method), f"labels.csv: is {seen}")
        for what, method, seen in (
            ("Stata", "to_stata", "a Stata file; export the table as CSV"),
            ("a pickle of pandas", "to_pickle", "a Python pickle; save the table as CSV"),
        )
    ),
    *(
        Case(
            FILES, what, PARSE, put("labels.csv", content),
            "labels.csv: its first line is not text in UTF-8; give the table as CSV in UTF-8",
        )
        for what, content in (
            ("random bytes", np.random.default_rng(0).bytes(999)), ("control characters", HEADER.replace("Labels", "\x01\x02")),
        )
    ),
    Case(FILES, "a pipe", PARSE, _pipe, "labels.csv: is a pipe, socket or device; save the table to a file first"),
    Case(
        FILES, "a column with another name in capitals", PARSE, put("labels.csv", HEADER.replace("Patient ID", "Patient Id")),
        "labels.csv: column 'Patient ID' is missing; ...; rename 'Patient Id' to 'Patient ID'",
    ),
    Case(
        FILES, "two tables joined, headers and all", PARSE, labels("00000099_000.png,Mass,0,9,50,M,PA\n" + HEADER.strip()),
        "labels.csv: row 2 (header not counted) is the header of a joined file; remove this row",
    ),
    Case(
        FILES, "a quote that is not closed", PARSE, labels('x.png,"Mass,0,1,50,M,PA', 'y.png,Mass",0,1,50,M,PA'),
        "labels.csv: row 1: column 'Finding Labels' holds a line break; close the quote there, or write it on one "
        "line",
    ),
)  # fmt: skip
