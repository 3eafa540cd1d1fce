"""The real PadChest and NIH tables, where torchxrayvision is installed (it ships them), against plain counting."""

import ast
import csv
import gzip
import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.labels_files import labels_params, manifest_of
from trcgl.artifacts.vocabulary import phrases
from trcgl.labels.build import build_labels
from trcgl.labels.merging import read_class_table
from trcgl.labels.nih import read_nih
from trcgl.labels.padchest import read_padchest
from trcgl.labels.report import label_counts
from trcgl.labels.table import LabelTable

FOUND = importlib.util.find_spec("torchxrayvision")
FOLDER = Path(str(FOUND.origin)).parent / "data" if FOUND else Path("torchxrayvision is not installed")
PADCHEST = FOLDER / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
ASSETS = Path(__file__).parents[1] / "data" / "assets"
FRONTAL = ("PA", "AP", "AP_horizontal")

pytestmark = pytest.mark.skipif(
    not PADCHEST.exists(), reason="the real tables come with `pip install --no-deps torchxrayvision==1.5.7`"
)


@pytest.fixture(scope="module")
def table() -> LabelTable:
    return read_padchest(PADCHEST)


@pytest.fixture(scope="module")
def counted() -> Counter[tuple[str, str]]:
    """Images per label and projection, counted with nothing but the standard library."""
    csv.field_size_limit(sys.maxsize)
    counts: Counter[tuple[str, str]] = Counter()
    with gzip.open(PADCHEST, "rt", encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            if row["Labels"] != "nan":
                names = {name.strip() for name in ast.literal_eval(row["Labels"])} - {""}
                counts.update((name, row["Projection"]) for name in names)
    return counts


def test_every_label_and_projection_counts_as_by_hand(table: LabelTable, counted: Counter[tuple[str, str]]) -> None:
    ours = label_counts(table)
    assert {(r.label, r.projection): r.count for r in ours.itertuples(index=False, name="R") if r[2]} == dict(counted)


def test_published_totals(table: LabelTable) -> None:
    assert (table.source_rows, len(table.rows), len(table.vocabulary)) == (160_861, 159_981, 193)
    assert table.rejected["reason"].value_counts().to_dict() == {"no label": 777, "labels missing": 103}
    counts = label_counts(table)
    frontal = counts[counts["projection"].isin(FRONTAL)].groupby("label")["count"].sum()
    totals = {"COPD signs": 14_296, "cardiomegaly": 9_848, "pneumothorax": 394, "normal": 36_103, "breast mass": 1}
    assert {name: frontal[name] for name in totals} == totals


def test_every_label_has_a_phrase_and_every_class_its_labels(table: LabelTable) -> None:
    with (ASSETS / "padchest_vocabulary.csv").open(newline="", encoding="utf-8") as handle:
        listed = {row["label"] for row in csv.DictReader(handle)}
    assert set(table.vocabulary) <= listed
    assert len(phrases(table.vocabulary, ASSETS / "padchest_vocabulary.csv")) == 193
    assert set(read_class_table(ASSETS / "cxrlt_classes.csv")["label"]) <= set(table.vocabulary)


def test_the_whole_table_becomes_products(table: LabelTable, counted: Counter[tuple[str, str]]) -> None:
    manifest = manifest_of(table.rows["folder"] + "/" + table.rows["image"])
    built = build_labels(table, manifest, labels_params(projections=FRONTAL, exclude_images_with=()))
    assert (built.labels.groupby("patient")["split"].nunique() == 1).all()
    for entry in built.classes["classes"]:
        assert sum(entry["positives"].values()) == sum(counted[entry["name"], view] for view in FRONTAL)
    assert {entry["name"] for entry in built.classes["classes"]}.isdisjoint(built.classes["not_findings"])


def test_nih_totals() -> None:
    table = read_nih(FOLDER / "Data_Entry_2017_v2020.csv.gz")
    assert (len(table.rows), table.rows["patient"].nunique(), len(table.vocabulary)) == (112_120, 30_805, 15)
    counts = label_counts(table).groupby("label")["count"].sum()
    # Wang et al. 2017 and the data set's own page
    assert (counts["No Finding"], counts["Hernia"], counts["Infiltration"]) == (60_361, 227, 19_894)
