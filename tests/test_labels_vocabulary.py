"""The committed vocabularies are whole and agree with each other."""

import csv
from pathlib import Path

import pytest

from trcgl.artifacts.vocabulary import phrases
from trcgl.labels.merging import read_class_table
from trcgl.runtime.errors import InputError

ASSETS = Path(__file__).parents[1] / "data" / "assets"
VOCABULARY = ASSETS / "padchest_vocabulary.csv"
NIH = (
    "Atelectasis|Cardiomegaly|Consolidation|Edema|Effusion|Emphysema|Fibrosis|Hernia|Infiltration|Mass|Nodule|"
    "Pleural_Thickening|Pneumonia|Pneumothorax|No Finding"
)


def entries() -> list[dict[str, str]]:
    with VOCABULARY.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_every_entry_has_a_phrase_and_appears_once() -> None:
    labels = [entry["label"] for entry in entries()]
    assert len(labels) == len(set(labels))
    for entry in entries():
        phrase = entry["phrase"]
        assert phrase
        assert phrase == phrase.strip()
        # A text encoder of Stable Diffusion takes 77 tokens a prompt
        assert phrase.isascii()
        assert len(phrase.split()) <= 10
        assert "_" not in phrase


def test_labels_of_all_data_sets_have_entries() -> None:
    labels = {entry["label"] for entry in entries()}
    assert labels >= set(NIH.split("|"))
    classes = read_class_table(ASSETS / "cxrlt_classes.csv")
    assert classes["class"].nunique() == 30
    assert labels >= set(classes["class"])
    assert labels >= set(classes["label"])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("mass,lung mass\nnodule,\n", "row 2: label 'nodule' has no phrase"),
        ("edema,nan\n", "row 1: label 'edema' has no phrase"),
        ("mass,lung mass\n,nodule\n", "row 2: has no label"),
        ("mass,lung mass\nnodule,nodule\nmass,other\n", "row 3: label 'mass' has a row already; keep one"),
    ],
)
def test_a_vocabulary_with_a_gap_or_two_meanings_is_refused(rows: str, said: str, tmp_path: Path) -> None:
    """A finding without a phrase would be drawn under the prompt of an image without findings."""
    (tmp_path / "v.csv").write_text(f"label,phrase\n{rows}")
    with pytest.raises(InputError, match=rf"v\.csv: {said}"):
        phrases(["mass"], tmp_path / "v.csv")


def test_phrases() -> None:
    found = phrases(["NSG tube", "Pleural_Thickening", "some_new_label"], VOCABULARY)
    assert found == {
        "NSG tube": "nasogastric tube",
        "Pleural_Thickening": "pleural thickening",
        "some_new_label": "some new label",
    }
