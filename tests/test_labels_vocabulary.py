"""The committed vocabularies are whole and agree with each other."""

import csv
from pathlib import Path

from trcgl.artifacts.vocabulary import phrases
from trcgl.labels.merging import read_class_table

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


def test_phrases() -> None:
    found = phrases(["NSG tube", "Pleural_Thickening", "some_new_label"], VOCABULARY)
    assert found == {
        "NSG tube": "nasogastric tube",
        "Pleural_Thickening": "pleural thickening",
        "some_new_label": "some new label",
    }
