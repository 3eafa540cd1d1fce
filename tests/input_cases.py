"""Every kind of bad input we know of: what is spoiled, which command meets it, and what the user then sees.

`python -m tests.input_cases --write` renews the table in docs/input-errors.md; tests/test_input_errors.py runs the
cases and holds the table.
"""

import gzip
import json
import pickle  # To write files that must be refused
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from ruamel.yaml import YAML

from tests.faults.spoiled import dicom, png_header
from tests.import_graph import ROOT
from tests.labels_files import padchest_row, write_padchest
from trcgl.runtime.files import replace_between

Spoil = Callable[[Path], None]
HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"
MODEL = "evaluate a model"


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        group: heading in the table.
        what: what is wrong.
        stage: the stage script that meets it, or MODEL: `trcgl evaluate` on a saved classifier.
        spoil: makes it wrong, in a good project.
        seen: the line on stderr, or the reason in the record of what was left out; `...` stands for anything.
        counted: the run goes on, and the bad row or file is in rejected.parquet or unreadable.parquet.
    """

    group: str
    what: str
    stage: str
    spoil: Spoil
    seen: str
    counted: bool = False


def good_project(folder: Path) -> Path:
    """A folder in which the early stages have something to read: twelve NIH-like images of six patients."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for k in range(12):
        noise = np.random.default_rng(k).integers(0, 256, (40, 40)).astype(np.uint8)
        Image.fromarray(noise).save(folder / "images" / f"{k:08d}_000.png")
        rows.append(f"{k:08d}_000.png,{'Mass|Nodule' if k % 2 else 'Mass'},0,{k // 2},050Y,M,PA\n")
    (folder / "labels.csv").write_text(HEADER + "".join(rows))
    splits = [f"{patient},{('train', 'val', 'test')[patient % 3]}\n" for patient in range(6)]
    (folder / "splits.csv").write_text("patient,split\n" + "".join(splits))
    values = YAML(typ="safe").load(ROOT / "params.yaml")
    changes: dict[str, Any] = {
        "dataset.name": "nih", "dataset.images": "images", "dataset.labels": "labels.csv",
        "dataset.split_file": "splits.csv", "labels.not_findings": ["No Finding"], "labels.projections": None,
        "labels.exclude_images_with": [], "labels.min_positives": 1, "labels.tail_findings": ["Nodule"],
        "images.classifier_size": 32, "images.diffusion_size": 32, "compute.threads": 1, "compute.workers": 1,
        "compute.device": "cpu", "baseline.epochs": 1, "classifier.epochs": 1,
    }  # fmt: skip
    for key, value in changes.items():
        section, name = key.split(".")
        values[section][name] = value
    (folder / "params.yaml").write_text(json.dumps(values, indent=1))
    (folder / "data").mkdir()
    (folder / "data/assets").symlink_to(ROOT / "data/assets")
    return folder


# How things are spoiled


def put(name: str, content: bytes | str) -> Spoil:
    return lambda folder: _write(folder / name, content)


def _write(path: Path, content: bytes | str) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def delete(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    return spoil


def cut(name: str, length: int = -40) -> Spoil:
    return lambda folder: _write(folder / name, (folder / name).read_bytes()[:length])


def folder_instead(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        delete(name)(folder)
        (folder / name).mkdir()

    return spoil


def params(**changes: Any) -> Spoil:
    """Values of params.yaml by `section__name`; a name that ends in `__` is removed."""

    def spoil(folder: Path) -> None:
        values = json.loads((folder / "params.yaml").read_text())
        for key, value in changes.items():
            section, name = key.split("__", 1)
            values[section][name] = value
        (folder / "params.yaml").write_text(json.dumps(values, indent=1))

    return spoil


def without_key(folder: Path) -> None:
    values = json.loads((folder / "params.yaml").read_text())
    del values["labels"]["min_positives"]
    (folder / "params.yaml").write_text(json.dumps(values))


def as_yaml(name: str, old: str, new: str) -> Spoil:
    """Replace text in a file."""

    def spoil(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text, old
        (folder / name).write_text(text.replace(old, new, 1))

    return spoil


def labels(*rows: str, header: str = HEADER) -> Spoil:
    """Rows in front of the good ones; another header leaves only these."""

    def spoil(folder: Path) -> None:
        good = (folder / "labels.csv").read_text().removeprefix(HEADER) if header == HEADER else ""
        (folder / "labels.csv").write_text(header + "".join(f"{row}\n" for row in rows) + good)

    return spoil


def both(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        for one in spoils:
            one(folder)

    return spoil


def each_image(content: bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        for path in (folder / "images").iterdir():
            path.write_bytes(content)

    return spoil


def padchest(text: str) -> Spoil:
    """The data set is PadChest's, and the first row's labels are this text."""

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


def image(content: Callable[[Path], bytes], name: str = "00000005_000.png") -> Spoil:
    """The sixth image; with another suffix its row in the label table follows."""

    def spoil(folder: Path) -> None:
        (folder / "images/00000005_000.png").unlink()
        path = folder / "images" / name
        path.write_bytes(content(path))
        as_yaml("labels.csv", "00000005_000.png", name)(folder)

    return spoil


def _png(pixels: np.ndarray) -> Callable[[Path], bytes]:
    def content(path: Path) -> bytes:
        Image.fromarray(pixels).save(path, "PNG")
        return path.read_bytes()

    return content


def _cut_jpeg(path: Path) -> bytes:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90)).astype(np.uint8)).save(path, "JPEG")
    return path.read_bytes()[:900]


def _damaged_png(path: Path) -> bytes:
    content = _png(np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8))(path)
    return content[:60] + bytes(byte ^ 255 for byte in content[60:90]) + content[90:]


def _dicom(**changes: object) -> Callable[[Path], bytes]:
    return lambda path: dicom(np.random.default_rng(0), path, **changes)


def link_out(folder: Path) -> None:
    elsewhere = folder.parent / f"{folder.name}-elsewhere.png"
    link = folder / "images/00000005_000.png"
    link.replace(elsewhere)
    link.symlink_to(elsewhere)


def twice_in_two_folders(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / "images" / name).mkdir()
        shutil.copy(folder / "images/00000005_000.png", folder / "images" / name)


def leak_patient(folder: Path) -> None:
    path = folder / "data/labels/labels.parquet"
    frame = pd.read_parquet(path)
    frame.loc[frame["split"] == "test", "patient"] = frame.loc[frame["split"] == "train", "patient"].iloc[0]
    frame.to_parquet(path)


def leak_picture(folder: Path) -> None:
    """A test patient's image is another export of a training patient's: other contrast, other bytes."""
    frame = pd.read_parquet(folder / "data/labels/labels.parquet")
    train, test = (frame.loc[frame["split"] == split, "image"].iloc[0] for split in ("train", "test"))
    index = pd.read_parquet(folder / "data/images/classifier/index.parquet").set_index("image")["row"]
    path = folder / "data/images/classifier/shard-00000.npy"
    shard = np.load(path)
    shard[index[test]] = (shard[index[train]] * 0.8 + 20).astype(np.uint8)
    np.save(path, shard)


def model(**contents: bytes | str) -> Spoil:
    """Files of the saved classifier, by name without suffix."""
    suffixes = {"model": ".safetensors"}

    def spoil(folder: Path) -> None:
        for name, content in contents.items():
            _write(folder / "model" / f"{name}{suffixes.get(name, '.json')}", content)

    return spoil


def _rows(count: int, **columns: str) -> str:
    return "".join(
        f"{columns.get('image', f'{k:08d}_000.png')},{columns.get('labels', 'Mass')},0,{k},050Y,M,PA\n"
        for k in range(count)
    )


PARSE, SCAN, CACHE, BASELINE = "parse_labels", "scan_images", "cache_images", "train_baseline"
CASES = (
    # Parameters
    Case(
        "Parameters",
        "unknown key",
        PARSE,
        as_yaml("params.yaml", '"min_positives"', '"min_positive"'),
        "params.yaml: unknown key 'labels.min_positive'; did you mean 'min_positives'?",
    ),
    Case(
        "Parameters",
        "unknown key, nothing like it",
        PARSE,
        params(graph__zzz=1),
        "params.yaml: unknown key 'graph.zzz'; known keys: smoothing",
    ),
    Case(
        "Parameters",
        "missing key",
        PARSE,
        without_key,
        "params.yaml: key 'labels.min_positives' is missing; a params file names every knob (see params.yaml)",
    ),
    Case(
        "Parameters",
        "no file",
        PARSE,
        delete("params.yaml"),
        "params.yaml: cannot be read (No such file or directory); give a params file, such as params.yaml",
    ),
    Case(
        "Parameters",
        "a folder",
        PARSE,
        folder_instead("params.yaml"),
        "params.yaml: cannot be read (Is a directory); give a params file, such as params.yaml",
    ),
    Case(
        "Parameters",
        "empty file",
        PARSE,
        put("params.yaml", ""),
        "params.yaml: 'the file' is empty; it must be a section of keys",
    ),
    Case(
        "Parameters",
        "not YAML",
        PARSE,
        put("params.yaml", "labels: [1, 2\nimages: }"),
        "params.yaml line 2: not valid YAML (...)",
    ),
    Case(
        "Parameters",
        "not UTF-8",
        PARSE,
        put("params.yaml", "dataset: caf\u00e9".encode("latin-1")),
        "params.yaml: not text in UTF-8 (byte 12); save it as UTF-8",
    ),
    Case(
        "Parameters",
        "a key twice",
        PARSE,
        put("params.yaml", "labels: 1\nlabels: 2\n"),
        "params.yaml line 2: not valid YAML (found duplicate key ...)",
    ),
    Case(
        "Parameters",
        "a section that is a number",
        PARSE,
        as_yaml("params.yaml", '"graph": {', '"graph": 3, "x": {'),
        "params.yaml: ...",
    ),
    Case(
        "Parameters",
        "text for a whole number",
        PARSE,
        params(labels__min_positives="ten"),
        "params.yaml: 'labels.min_positives' is 'ten'; it must be a whole number",
    ),
    Case(
        "Parameters",
        "fraction for a whole number",
        PARSE,
        params(baseline__epochs=1.5),
        "params.yaml: 'baseline.epochs' is 1.5; it must be a whole number",
    ),
    Case(
        "Parameters",
        "true for a number",
        PARSE,
        params(labels__min_positives=True),
        "params.yaml: 'labels.min_positives' is True; it must be a whole number",
    ),
    Case(
        "Parameters",
        "empty value",
        PARSE,
        params(images__resize=None),
        "params.yaml: 'images.resize' is empty; it must be a text",
    ),
    Case(
        "Parameters",
        "not a number",
        PARSE,
        params(baseline__lr=float("nan")),
        "params.yaml: 'baseline.lr' is ...; it must be a ...number",
    ),
    Case(
        "Parameters",
        "out of range",
        PARSE,
        params(classifier__graph_dropout=1.2),
        "params.yaml: 'classifier.graph_dropout' is 1.2; it must be between 0.0 and 1.0",
    ),
    Case(
        "Parameters",
        "below the smallest",
        PARSE,
        params(baseline__batch_size=0),
        "params.yaml: 'baseline.batch_size' is 0; it must be at least 1",
    ),
    Case(
        "Parameters",
        "none of the choices",
        PARSE,
        params(classifier__loss="bcee"),
        "params.yaml: 'classifier.loss' is 'bcee'; it must be one of: bce, ...",
    ),
    Case(
        "Parameters",
        "unknown data set",
        PARSE,
        params(dataset__name="openi"),
        "params.yaml: 'dataset.name' is 'openi'; it must be one of: phantom, padchest, nih, ...",
    ),
    Case(
        "Parameters",
        "text for a list",
        PARSE,
        params(labels__not_findings="normal"),
        "params.yaml: 'labels.not_findings' is 'normal'; it must be a list",
    ),
    Case(
        "Parameters",
        "a finding both head and tail",
        PARSE,
        params(labels__tail_below=0.5, labels__head_above=0.1),
        "params.yaml: 'labels.tail_below' (0.5) is above 'labels.head_above' (0.1); a finding would be head and tail at "
        "once",
    ),
    Case(
        "Parameters",
        "no patient left for training",
        PARSE,
        params(labels__validation_fraction=0.5, labels__test_fraction=0.5),
        "params.yaml: 'labels.validation_fraction' + 'labels.test_fraction' is 1; it must leave patients for training "
        "(below 1)",
    ),
    Case(
        "Parameters",
        "no epoch",
        PARSE,
        params(baseline__epochs=0, baseline__frozen_epochs=0),
        "params.yaml: 'baseline.frozen_epochs' + 'baseline.epochs' is 0; at least one epoch is needed",
    ),
    Case(
        "Parameters",
        "unequal parts of a batch",
        PARSE,
        params(baseline__accumulate=5),
        "params.yaml: 'baseline.accumulate' is 5; it must divide 'baseline.batch_size' (...) into equal parts",
    ),
    Case(
        "Parameters",
        "heads that CSRA does not have",
        PARSE,
        params(classifier__csra_heads=3),
        "params.yaml: 'classifier.csra_heads' is 3; the paper has temperatures for 1, 2, 4, 6, 8 heads",
    ),
    Case(
        "Parameters",
        "width that the decoder's heads do not divide",
        PARSE,
        params(classifier__decoder_width=100),
        "params.yaml: 'classifier.decoder_width' is 100; it must be a multiple of 8, ...",
    ),
    Case(
        "Parameters",
        "a graph that is not the head's",
        PARSE,
        params(classifier__head="mlgcn", classifier__adjacency="paper"),
        "params.yaml: 'classifier.head' mlgcn goes with 'classifier.adjacency' mlgcn, ...",
    ),
    Case(
        "Parameters",
        "a head without its label vectors",
        PARSE,
        params(classifier__head="mlgcn", classifier__adjacency="mlgcn", classifier__label_vectors=None),
        "params.yaml: 'classifier.head' mlgcn needs 'classifier.label_vectors', a file of word vectors; it is null",
    ),
    Case(
        "Parameters",
        "mirror images for a model that knows none",
        PARSE,
        params(evaluation__test_time_flip=True),
        "params.yaml: 'evaluation.test_time_flip' is true, but a model is trained without flips; ...",
    ),
    Case(
        "Parameters",
        "two numbers of samples",
        PARSE,
        params(sampling__images_per_real_image=2.0),
        "params.yaml: of 'sampling.images_per_finding' and 'sampling.images_per_real_image' both are set; ...",
    ),
    Case(
        "Parameters",
        "guidance that ends before it begins",
        PARSE,
        params(sampling__guidance_start=0.8, sampling__guidance_end=0.2),
        "params.yaml: 'sampling.guidance_start' (0.8) is above 'sampling.guidance_end' (0.2); ...",
    ),
    # Label files
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
        "labels.csv: column 'Image Index' is missing; ...",
    ),
    Case(
        "Label file",
        "an image",
        PARSE,
        put("labels.csv", png_header(64, 64)),
        "labels.csv: is not a CSV text file in UTF-8 (its first line is not text)",
    ),
    Case(
        "Label file",
        "UTF-16",
        PARSE,
        put("labels.csv", (HEADER + _rows(3)).encode("utf-16")),
        "labels.csv: is not a CSV text file in UTF-8 (its first line is not text)",
    ),
    Case(
        "Label file",
        "Latin-1",
        PARSE,
        put("labels.csv", (HEADER + _rows(3, labels="M\u00e1s")).encode("latin-1")),
        "labels.csv: damaged, cut short or not comma-separated UTF-8 text (...)",
    ),
    Case(
        "Label file",
        "a row with another number of columns",
        PARSE,
        labels("00000000_000.png,Mass,0,1"),
        "labels.csv: damaged, cut short or not comma-separated UTF-8 text (...Expected 7 columns, got 4...)",
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
        "labels.csv: row 1: Patient ID '3.24E+38' is a rounded number (so are 0 more), which merges patients; give the "
        "file with ids written out as text",
    ),
    Case(
        "Label file",
        "names of other images",
        PARSE,
        put("labels.csv", HEADER + _rows(3, image="x.png")),
        "no image is left of ...; check 'dataset.images' and the filters in 'labels'",
    ),
    Case(
        "Label file",
        "a projection that it does not have",
        PARSE,
        params(labels__projections=["LATERAL"]),
        "'labels.projections' (LATERAL) leaves no row; the label table has: 'PA'",
    ),
    Case(
        "Label file",
        "a finding that it does not have",
        PARSE,
        params(labels__findings=["Mas"]),
        "'labels.findings': the label table has no label 'Mas'; did you mean 'Mass'?",
    ),
    Case(
        "Label file",
        "a tail finding that it does not have",
        PARSE,
        params(labels__tail_findings=["hernia of a kind"]),
        "'labels.tail_findings': the label table has no label 'hernia of a kind'; it has no similar one",
    ),
    Case(
        "Label file",
        "every finding too rare",
        PARSE,
        params(labels__min_positives=50),
        "no finding has 50 positives among 4 training images; lower 'labels.min_positives' or give more images",
    ),
    Case(
        "Label file",
        "a split without a positive",
        PARSE,
        as_yaml("splits.csv", "2,test\n3,train\n4,val\n5,test", "2,train\n3,train\n4,val\n5,train"),
        "the test split has no image; change the split's fractions or seed, or the split file",
    ),
    Case(
        "Label file",
        "a finding with a column's name",
        PARSE,
        as_yaml("labels.csv", "Mass|Nodule", "Mass|split|Nodule"),
        "a finding is called 'split', as a column of labels.parquet is; rename it in the label table",
    ),
    Case(
        "Label file",
        "CXR-LT: no class",
        PARSE,
        cxrlt("ImageID,PatientID", "a.png,1"),
        "labels.csv: has no class column; expected a CXR-LT label table",
    ),
    Case(
        "Label file",
        "CXR-LT: a column of text",
        PARSE,
        cxrlt("ImageID,PatientID,Mass,Note", "a.png,1,1,hello"),
        "labels.csv: column 'Note' holds no 0 or 1 (its first value is 'hello'), so it is no class of a CXR-LT label table; remove it",
    ),
    Case("Label rows", "no image name", PARSE, labels(",Mass,0,1,50,M,PA"), "image name missing", True),
    Case("Label rows", "an absolute path", PARSE, labels("/etc/passwd,Mass,0,1,50,M,PA"), "image name is a path", True),
    Case("Label rows", "a path upwards", PARSE, labels("../secret.png,Mass,0,1,50,M,PA"), "image name is a path", True),
    Case(
        "Label rows",
        "a path of another system",
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
        "an image with two label lists",
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
    Case("Label rows", "no such image file", PARSE, labels("gone.png,Mass,0,1,50,M,PA"), "image file missing", True),
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
    # Split files and class tables
    Case(
        "Split file",
        "no file",
        PARSE,
        delete("splits.csv"),
        "splits.csv: cannot be read (No such file or directory); ...",
    ),
    Case(
        "Split file",
        "a split that is none",
        PARSE,
        as_yaml("splits.csv", "0,train", "0,dev"),
        "splits.csv: row 1: split 'dev' is unknown; it must be train, val or test",
    ),
    Case(
        "Split file",
        "a patient in two splits",
        PARSE,
        as_yaml("splits.csv", "1,val", "1,val\n0,test"),
        "splits.csv: patient '0' is listed in several splits (test, train); a patient belongs to one, or the test set leaks",
    ),
    Case(
        "Split file",
        "other patients",
        PARSE,
        put("splits.csv", "patient,split\nx,train\n"),
        "splits.csv: lists no patient of the label table (first: 0)",
    ),
    Case(
        "Split file",
        "no column of splits",
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
        "t.csv: class 'A' is listed twice",
    ),
    Case(
        "Class table",
        "a class of nothing",
        PARSE,
        both(put("t.csv", "class,padchest_labels\nA,\n"), params(labels__class_table="t.csv")),
        "t.csv: row 1: a class needs a name and at least one label",
    ),
    Case(
        "Class table",
        "labels of another data set",
        PARSE,
        both(put("t.csv", "class,padchest_labels\nA,zzz\n"), params(labels__class_table="t.csv")),
        "t.csv: none of its labels occurs in the label table; give the class table of this data set",
    ),
    # Images
    Case(
        "Image folder",
        "no folder",
        SCAN,
        delete("images"),
        "images: no such folder; set 'dataset.images' to the folder that holds the images",
    ),
    Case(
        "Image folder",
        "a file",
        SCAN,
        both(delete("images"), put("images", "x")),
        "images: no such folder; set 'dataset.images' to the folder that holds the images",
    ),
    Case(
        "Image folder",
        "no image inside",
        SCAN,
        both(folder_instead("images"), put("images/a.txt", "x")),
        "images: no image file inside; expected .dcm, .dicom, .jpeg, .jpg, .png, .tif, .tiff",
    ),
    Case(
        "Image folder",
        "no readable image inside",
        CACHE,
        each_image(b"no picture"),
        "images: none of 12 images could be read; the first: images/00000000_000.png: not a PNG, JPEG, TIFF or DICOM file",
    ),
    Case("Label rows", "two files of that name", PARSE, twice_in_two_folders, "image file is ambiguous", True),
    Case(
        "Images",
        "gone since the scan",
        CACHE,
        delete("images/00000005_000.png"),
        "cannot be read: No such file or directory",
        True,
    ),
    Case(
        "Images",
        "a folder with an image's name",
        CACHE,
        folder_instead("images/00000005_000.png"),
        "cannot be read: Is a directory",
        True,
    ),
    Case("Images", "empty file", CACHE, image(lambda path: b""), "empty file", True),
    Case("Images", "text", CACHE, image(lambda path: b"no picture"), "not a PNG, JPEG, TIFF or DICOM file", True),
    Case("Images", "PNG cut short", CACHE, cut("images/00000005_000.png"), "truncated PNG (no end marker)", True),
    Case("Images", "damaged PNG", CACHE, image(_damaged_png), "damaged image data", True),
    Case("Images", "JPEG cut short", CACHE, image(_cut_jpeg, "five.jpg"), "truncated JPEG (no end marker)", True),
    Case(
        "Images",
        "one grey level",
        CACHE,
        image(_png(np.full((40, 40), 7, np.uint8))),
        "a single grey level everywhere",
        True,
    ),
    Case(
        "Images",
        "too small",
        CACHE,
        image(_png(np.eye(9, dtype=np.uint8))),
        "9 x 9 pixels; at least 16 x 16 are needed",
        True,
    ),
    Case(
        "Images",
        "decompression bomb",
        CACHE,
        image(lambda path: png_header(60000, 60000)),
        "60000 x 60000 pixels; more than 200000000 are refused",
        True,
    ),
    Case(
        "Images",
        "DICOM bomb",
        CACHE,
        image(_dicom(Rows=65000, Columns=65000), "five.dcm"),
        "65000 x 65000 pixels; more than 200000000 are refused",
        True,
    ),
    Case(
        "Images",
        "floating-point TIFF",
        CACHE,
        image(lambda path: _tiff(path), "five.tif"),
        "pixels of type float32; 8 or 16 bit unsigned are read",
        True,
    ),
    Case(
        "Images",
        "a picture called DICOM",
        CACHE,
        image(_png(np.eye(40, dtype=np.uint8)), "five.dcm"),
        "not a DICOM file",
        True,
    ),
    Case(
        "Images",
        "DICOM without pixels",
        CACHE,
        image(_dicom(PixelData=None), "five.dcm"),
        "DICOM pixels cannot be decoded: ...",
        True,
    ),
    Case(
        "Images",
        "DICOM of too few pixels",
        CACHE,
        image(_dicom(PixelData=b"\0" * 64), "five.dcm"),
        "DICOM pixels cannot be decoded: ...",
        True,
    ),
    Case(
        "Images",
        "DICOM film of many frames",
        CACHE,
        image(_dicom(NumberOfFrames="30"), "five.dcm"),
        "30 frames; a radiograph has one",
        True,
    ),
    Case(
        "Images",
        "DICOM in an unknown transfer syntax",
        CACHE,
        image(_dicom(TransferSyntaxUID="1.2.3.4"), "five.dcm"),
        "DICOM pixels cannot be decoded: ...",
        True,
    ),
    Case(
        "Images",
        "DICOM whose values are no numbers",
        CACHE,
        image(_dicom(RescaleSlope="nan", RescaleIntercept="0"), "five.dcm"),
        "pixel values that are no numbers",
        True,
    ),
    Case("Images", "a link out of the folder", CACHE, link_out, "a link that leads out of the image folder", True),
    # What the stages leave
    Case(
        "Made files",
        "a table deleted",
        BASELINE,
        delete("data/labels/labels.parquet"),
        "data/labels/labels.parquet: not found; dvc repro makes what the stages write",
    ),
    Case(
        "Made files",
        "the index of the cache deleted",
        BASELINE,
        delete("data/images/classifier/index.parquet"),
        "data/images/classifier/index.parquet: not found; an image folder holds index.parquet beside its shards",
    ),
    Case(
        "Made files",
        "a shard cut short",
        BASELINE,
        cut("data/images/classifier/shard-00000.npy"),
        "data/images/classifier/shard-00000.npy: damaged or cut short; run cache_images again",
    ),
    Case(
        "Made files",
        "a patient in two splits",
        BASELINE,
        leak_patient,
        "data/labels/labels.parquet: patient '0' is in several splits (so are 0 more); run parse_labels again",
    ),
    Case(
        "Made files",
        "a picture in two splits, under two patients",
        BASELINE,
        leak_picture,
        "data/images/classifier: 1 images nearly equal one in another split (... and ...); leave one of each pair out of "
        "the label table, or put both patients into one split with 'dataset.split_file'",
    ),
    Case(
        "Devices",
        "unknown device",
        BASELINE,
        params(compute__device="tpu"),
        "compute.device 'tpu' cannot be used here (...); use auto, cpu or cuda",
    ),
    Case(
        "Model",
        "no such backbone",
        BASELINE,
        params(baseline__backbone="resnet51"),
        "backbone 'resnet51' is not a timm model; ...",
    ),
    Case(
        "Model",
        "options that the backbone does not take",
        BASELINE,
        params(baseline__backbone_options={"zzz": 1}),
        "backbone 'resnet10t' cannot be built with backbone_options {'zzz': 1} (...)",
    ),
    Case(
        "Model",
        "no initial weights",
        BASELINE,
        params(baseline__initial_weights="none.safetensors"),
        "none.safetensors: not a readable safetensors file (...)",
    ),
    Case(
        "Model",
        "pickled initial weights",
        BASELINE,
        both(put("w.pth", pickle.dumps({"a": 1})), params(baseline__initial_weights="w.pth")),
        "w.pth: not a readable safetensors file (...)",
    ),
    # Saved classifiers
    Case(
        "Model folder",
        "no folder",
        MODEL,
        delete("model"),
        "model: not a saved classifier (...); train_classifier writes one",
    ),
    Case(
        "Model folder",
        "weights missing",
        MODEL,
        delete("model/model.safetensors"),
        "model: not a saved classifier (...); train_classifier writes one",
    ),
    Case(
        "Model folder",
        "weights cut short",
        MODEL,
        cut("model/model.safetensors"),
        "model: not a saved classifier (...); train_classifier writes one",
    ),
    Case(
        "Model folder",
        "pickled weights",
        MODEL,
        model(model=pickle.dumps({"weights": 1})),
        "model: not a saved classifier (...); train_classifier writes one",
    ),
    Case(
        "Model folder",
        "config.json is no JSON",
        MODEL,
        model(config="{"),
        "model: not a saved classifier (...); train_classifier writes one",
    ),
    Case(
        "Model folder",
        "config.json is a list",
        MODEL,
        model(config="[]"),
        "model: not a saved classifier (...); train_classifier writes one",
    ),
    Case(
        "Model folder",
        "config.json of something else",
        MODEL,
        model(config='{"a": 1}'),
        "model: not a saved classifier (...); train_classifier writes one",
    ),
    Case(
        "Model folder",
        "no classes",
        MODEL,
        model(classes="{}"),
        "model: not a saved classifier (...); train_classifier writes one",
    ),
    Case(
        "Model folder",
        "thresholds of other findings",
        MODEL,
        model(thresholds='{"hernia": 0.5}'),
        "model: thresholds.json and classes.json name different findings",
    ),
    Case(
        "Model folder",
        "classes and weights of two models",
        MODEL,
        model(classes='{"classes": [{"name": "Mass", "group": "head"}]}', thresholds='{"Mass": 0.5}'),
        "model: model.safetensors and config.json do not fit (...)",
    ),
    Case(
        "Model folder",
        "images without a folder",
        MODEL,
        delete("images"),
        "images: no such folder; give the folder of the images with --images",
    ),
)
# Tests of kinds that no stage of a small project meets
OTHERS = (
    (
        "Disk",
        "full, a quota used up, or a file too large, in every format we write",
        "...: no space is left to write it; free some and run again: nothing half written stays, and what was finished before is kept",
        "test_runtime.py::test_no_space_is_one_line_and_leaves_nothing_half_written",
    ),
    (
        "Disk",
        "a checkpoint damaged or cut short",
        "... is damaged or cut short; the state before it is used",
        "test_runtime.py::test_a_damaged_state_is_told_and_the_one_before_it_used",
    ),
    (
        "Disk",
        "a checkpoint of other parameters, inputs or code",
        "nothing: it is not found, and the stage starts anew",
        "test_runtime.py::test_state_is_found_again_only_for_the_same_everything",
    ),
    (
        "Disk",
        "a kept shard damaged",
        "... or its shards are damaged; images from here on are decoded again",
        "test_images.py::test_a_killed_cache_goes_on_after_its_last_whole_shard",
    ),
    (
        "Disk",
        "a kept micro-batch damaged",
        "... is damaged or cut short and counts as not drawn",
        "test_diffusion_sampling.py::test_kept_micro_batches_are_not_drawn_again",
    ),
    (
        "Memory",
        "too little, on processor or accelerator",
        "out of memory; lower 'classifier.batch_size', or raise 'classifier.accumulate' (...)",
        "test_runtime.py::test_out_of_memory_names_the_knob",
    ),
    (
        "Memory",
        "a process that decodes was killed",
        "one of ... processes that work on pixels was killed, most likely for want of memory; lower 'compute.workers' and run again",
        "test_images.py::test_a_killed_worker_is_one_line",
    ),
    (
        "Signals",
        "SIGTERM, or Ctrl-C",
        "stopped by SIGTERM; what is done is kept, run again to go on from there (exit code 143 or 130)",
        "test_runtime.py::test_a_signal_is_one_line_and_a_code",
    ),
    (
        "Training",
        "a loss that is no number",
        "epoch 1, step 1: the loss is nan; lower lr or use fp32; images of the batch: ...",
        "test_classifier_train.py::test_a_loss_that_is_no_number_stops_with_the_images",
    ),
    (
        "Training",
        "a gradient that is no number",
        "epoch 1, step 1: the gradient's norm is nan; lower lr or use fp32; images of the batch: ...",
        "test_classifier_train.py::test_a_gradient_that_is_no_number_stops_with_the_images",
    ),
    (
        "Training",
        "a generated image in the label table",
        "...: '...' is a generated image; a label table lists real ones only",
        "test_classifier_data.py::test_a_generated_image_among_the_labelled_ones_stops",
    ),
    (
        "Generator",
        "no base, or no pipeline in its folder",
        "diffusion.base: no folder '...'; give 'scratch', a diffusers folder or a hub id owner/name",
        "test_diffusion.py::test_missing_folder_and_wrong_folders",
    ),
    (
        "Generator",
        "pickled weights of the base",
        "diffusion.base: the folder '...' cannot be loaded; give a complete diffusers folder in safetensors (...)",
        "test_diffusion.py::test_weights_outside_safetensors_are_refused",
    ),
    (
        "Generator",
        "a loss or gradient that is no number",
        "diffusion: step 0 of phase '...' went wrong: ...; images of the step: ...",
        "test_diffusion.py::test_a_gradient_that_is_not_finite_stops_and_names_the_step",
    ),
)


def _tiff(path: Path) -> bytes:
    Image.fromarray(np.random.default_rng(0).random((40, 40)).astype(np.float32)).save(path, "TIFF")
    return path.read_bytes()


def case_id(case: Case) -> str:
    return f"{case.group}: {case.what}"


def table() -> str:
    """The table of docs/input-errors.md."""
    lines = ["| input | what is wrong | what the user sees | test |\n", "|---|---|---|---|\n"]
    for case in CASES:
        seen = f"counted in the record, with the reason `{case.seen}`" if case.counted else f"`error: {case.seen}`"
        lines.append(_line(case.group, case.what, seen, f"`test_input_errors.py`, {case.stage}"))
    lines += [_line(group, what, f"`{seen}`", f"`{test}`") for group, what, seen, test in OTHERS]
    return "".join(lines)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.input_cases --write")
    replace_between(ROOT / "docs/input-errors.md", "cases", table())
