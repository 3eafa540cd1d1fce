"""A head is switched by one knob: what the params file leaves null is the head's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.classifier_cases import NAMES, separable
from tests.import_graph import ROOT
from trcgl.classifier.training.build import label_adjacency
from trcgl.classifier.training.head_options import adjacency_threshold, head_options, value
from trcgl.config import ClassifierParams, load_params
from trcgl.graph.adjacency import build_adjacency
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.setup.presets import SCALES, overlay_files

GATE_AND_GRAPH = {"gate_reduction": 16, "label_embedding": 256, "graph_dropout": 0.1}
SWITCHED: dict[str, tuple[dict[str, Any], str | None, float]] = {
    # Options, adjacency, its threshold
    "linear": ({}, None, 0.0),
    "csra": ({"heads": 1, "strength": 0.1}, None, 0.0),
    "mlgcn": ({"hidden": 256}, "mlgcn", 0.4),
    "mldecoder": ({"width": 256}, None, 0.0),
    "trcgl_paper": (
        {"gate_strength": 0.05, "attention_strength": 0.1, "graph_strength": 0.05} | GATE_AND_GRAPH, "paper", 0.02,
    ),
    "trcgl": (
        {"gate_strength": 0.1, "attention_strength": 0.5, "graph_strength": 0.1, "attention_temperature": 1.0}
        | GATE_AND_GRAPH,
        "lift",
        0.0,
    ),
}  # fmt: skip


def classifier(**knobs: Any) -> ClassifierParams:
    return load_params(ROOT / "params.yaml", {f"classifier.{knob}": given for knob, given in knobs.items()}).classifier


@pytest.mark.parametrize("head", SWITCHED)
def test_switching_the_head_brings_its_own_values(head: str):
    options, adjacency, threshold = SWITCHED[head]
    params = classifier(head=head)
    assert head_options(params) == options
    if adjacency is not None:
        assert value(params, "adjacency") == adjacency
        assert adjacency_threshold(params) == threshold
        data = separable()
        counts = count_cooccurrence(data.targets[data.train], NAMES, 1.0)
        reweight, confidence = params.adjacency_reweight, params.adjacency_confidence
        expected = build_adjacency(adjacency, counts, threshold=threshold, reweight=reweight, confidence=confidence)
        np.testing.assert_array_equal(label_adjacency(params, data, counts), expected)


def test_what_the_params_file_gives_goes_before_the_heads_own():
    params = classifier(head="trcgl_paper", gate_strength=0.0, adjacency="mlgcn", attention_strength=0.3)
    assert head_options(params) == SWITCHED["trcgl_paper"][0] | {"gate_strength": 0.0, "attention_strength": 0.3}
    assert (value(params, "adjacency"), adjacency_threshold(params)) == ("mlgcn", 0.4)
    assert adjacency_threshold(classifier(adjacency="mlgcn", adjacency_threshold=0.2)) == 0.2


def test_a_learned_row_length_is_named_in_the_model_and_the_usual_one_is_not():
    """Models saved before there was a choice say nothing of it."""
    assert head_options(classifier(head="trcgl", row_length="unit")) == SWITCHED["trcgl"][0]
    learned = head_options(classifier(head="trcgl", row_length="learned"))
    assert learned == SWITCHED["trcgl"][0] | {"row_length": "learned"}


@pytest.mark.parametrize("scale", SCALES)
def test_the_scales_change_of_their_head_what_they_say(scale: str):
    """No preset repeats a strength."""
    params = load_params(ROOT / "params.yaml", overlays=overlay_files("padchest", scale, Path(ROOT / "presets")))
    head, changed = {
        "cpu": ("trcgl", {"attention_strength": 0.1, "row_length": "learned"}),
        "gpu": ("trcgl_paper", {}),
    }[scale]
    assert head_options(params.classifier) == SWITCHED[head][0] | changed
