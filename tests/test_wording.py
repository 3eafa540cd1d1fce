"""What prompts say of an image: in the words of the base that reads them."""

import re
from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from tests.diffusion_cases import CLASSES, PARAMS, PHRASES, label_table
from tests.import_graph import ROOT
from trcgl.diffusion.generator.prompts import prompts_of
from trcgl.diffusion.generator.rows import training_rows
from trcgl.diffusion.generator.wording import Wording, patient_words, prompt_text
from trcgl.runtime.errors import InputError


def test_prompt_names_view_and_findings() -> None:
    wording = Wording.of(PARAMS)
    assert prompt_text(wording, "PA", ["effusion"], PHRASES) == "chest X-ray, PA view, pleural effusion"
    assert prompt_text(wording, "", [], PHRASES) == "chest X-ray, unknown view, no finding"
    with pytest.raises(InputError, match=r"^'diffusion.prompt_template': unknown field '\{age\}'; the fields are"):
        Wording.of(replace(PARAMS, prompt_template="{age} {findings}"))
    with pytest.raises(InputError, match=r"^'diffusion.prompt_template': no field '\{findings\}'"):
        Wording.of(replace(PARAMS, prompt_template="a chest X-ray"))


@pytest.mark.parametrize("field", ["findings:d", "findings!r", "findings:{view}", "findings.upper", "findings[0]", ""])
def test_a_field_with_anything_beside_its_name_is_unknown(field: str) -> None:
    """It would fail at the first prompt, or put quotes into each."""
    with pytest.raises(InputError, match=rf"unknown field '\{{{re.escape(field)}\}}'; the fields are"):
        Wording.of(replace(PARAMS, prompt_template=f"{{findings}} {{{field}}}"))


def test_prompts_of_roentgen_v2_name_the_patient_as_far_as_known() -> None:
    """The first is word for word the example of its authors' page."""
    rows = training_rows(label_table(), CLASSES, [f"{i}.png" for i in range(12)])
    preset = YAML(typ="safe").load(ROOT / "presets/scale/gpu.yaml")["diffusion"]
    wording = Wording(preset["prompt_template"], preset["prompt_normal"])
    assert prompt_text(wording, "PA", [], PHRASES, patient_words(50, "F")) == (
        "50 year old female. Normal chest radiograph."
    )
    assert prompts_of(rows, wording, PHRASES)[:4] == [
        "50 year old female. pleural effusion, azygos lobe.", "male. azygos lobe.",
        "18 year old female. Normal chest radiograph.", "50 year old male. pleural effusion.",
    ]  # fmt: skip
    assert [patient_words(*known) for known in ((7, ""), (None, ""), (None, "M"), (90, "Other"))] == [
        "7 year old patient", "patient", "male", "90 year old patient",
    ]  # fmt: skip


def test_a_line_counts_the_prompts_that_name_no_finding_while_some_are_unknown(caplog: pytest.LogCaptureFixture):
    """Of nine training images those with an unknown effusion and no azygos lobe: 2.png; those with a 1 or 0 say so."""
    training_rows(label_table(), CLASSES, [f"{i}.png" for i in range(12)])
    assert "1 of 9 training images have no stated finding, but unknown ones" in caplog.text


def test_no_training_image_is_one_line_with_the_place_of_the_reasons():
    with pytest.raises(InputError, match=r"^no training image is in data/images/diffusion; the reasons are in"):
        training_rows(label_table(), CLASSES, [])
