"""Tables of splits, and of classes; official lists under another name."""

from tests.input_cases.case import PARSE, Case
from tests.input_cases.label_files import cxrlt
from tests.input_cases.spellings import mimic
from tests.input_cases.spoiling import both, delete, params, put, substitute

SPLIT_FILES = (
    Case(
        "Split file",
        "no file",
        PARSE,
        delete("splits.csv"),
        "splits.csv: cannot be read (No such file or directory); ...",
    ),
    Case(
        "Split file",
        "an unknown split",
        PARSE,
        substitute("splits.csv", "0,train", "0,dev"),
        "splits.csv: row 1: split 'dev' is unknown; it must be train, val or test",
    ),
    Case(
        "Split file",
        "a patient in two splits",
        PARSE,
        substitute("splits.csv", "1,val", "1,val\n0,test"),
        "splits.csv: patient '0' is listed in several splits (test, train), so the test set leaks; keep it in one",
    ),
    Case(
        "Split file",
        "patients of another data set",
        PARSE,
        put("splits.csv", "patient,split\nx,train\n"),
        "splits.csv: lists none of the label table's patients, such as '0'; give the split table of this data set",
    ),
    Case(
        "Split file",
        "no split column",
        PARSE,
        put("splits.csv", "patient\n0\n"),
        "splits.csv: column 'split' is missing; a split table is comma-separated and has the columns patient, split; ...",
    ),
    Case(
        "Class table",
        "no file",
        PARSE,
        params(labels__class_table="none.csv"),
        "none.csv: cannot be read (No such file or directory); ...",
    ),
    Case(
        "Class table",
        "a class twice",
        PARSE,
        both(put("t.csv", "class,padchest_labels\nA,Mass\nA,Nodule\n"), params(labels__class_table="t.csv")),
        "t.csv: row 2: class 'A' has a row already; put its labels into one",
    ),
    Case(
        "Class table",
        "a class without labels",
        PARSE,
        both(put("t.csv", "class,padchest_labels\nA,\n"), params(labels__class_table="t.csv")),
        "t.csv: row 1: a class needs a name and at least one label",
    ),
    *(
        Case(
            "Class table",
            what,
            PARSE,
            both(put("t.csv", f"class,padchest_labels\n{rows}\n"), params(labels__class_table="t.csv")),
            f"t.csv: {seen}",
        )
        for what, rows, seen in (
            ("a class without a name", "NA,Mass", "row 1: a class needs a name and at least one label"),
            (
                "a class in two spellings",
                "lump,Mass\nLump,Nodule",
                "classes 'lump' and 'Lump' are one class in two spellings; keep one",
            ),
            (
                "a label in another spelling than the label table's",
                "lump,Mass|nodule",
                "the label 'nodule' is 'Nodule' in the label table; write both in one way",
            ),
            (
                "labels with semicolons between them",
                "lump,Mass;Nodule\nknot,Nodule",
                "'Mass;Nodule' seems to be several labels; separate them by '|'",
            ),
        )
    ),
    Case(
        "Class table",
        "labels of another data set",
        PARSE,
        both(put("t.csv", "class,padchest_labels\nA,zzz\n"), params(labels__class_table="t.csv")),
        "t.csv: none of its labels occurs in the label table; give the class table of this data set",
    ),
    Case(
        "Name lists",
        "CXR-LT: a list of images to leave out under another name",
        PARSE,
        both(cxrlt("ImageID,PatientID,Mass", "a.png,1,1"), put("removal.csv", "ImageID\na.png\n")),
        "removal.csv: seems to be the official Removal.csv; rename it, or move it elsewhere",
    ),
    Case(
        "Name lists",
        "MIMIC-CXR: the official split under another name",
        PARSE,
        both(mimic("1,10", "a,1,10"), put("split (1).csv", "dicom_id,study_id,subject_id,split\na,10,1,test\n")),
        "split (1).csv: seems to be the official split of MIMIC-CXR-JPG; rename it to mimic-cxr-2.0.0-split.csv, or move it "
        "elsewhere",
    ),
)
