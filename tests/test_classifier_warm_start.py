"""A training that starts from a whole saved network."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.classifier_cases import CPU, classifier_params, separable
from tests.test_classifier_train import stand_still
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.training import train as trainer
from trcgl.classifier.training.build import build_model
from trcgl.classifier.training.train import train
from trcgl.classifier.training.warm_start import warm_start
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.runtime.errors import InputError

DATA = separable()
COOCCURRENCE = count_cooccurrence(DATA.targets[DATA.train], DATA.class_names, 1.0)
KNOBS = classifier_params(head="trcgl", adjacency="lift", frozen_epochs=0, epochs=2, extra_source="none")
STILL = replace(KNOBS, lr=1e-12, head_lr=1e-12, epochs=1, seed=9)
"""Another seed, and no step to speak of."""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    train(KNOBS, DATA, CPU, cooccurrence=COOCCURRENCE).model.save(folder)
    return folder


def test_backbone_and_head_are_those_of_the_saved_network(saved: Path):
    wanted = Classifier.load(saved).state_dict()
    model = train(STILL, DATA, CPU, cooccurrence=COOCCURRENCE, start=saved).model
    fresh = train(STILL, DATA, CPU, cooccurrence=COOCCURRENCE).model.state_dict()
    for name, value in model.state_dict().items():
        # Statistics of BatchNorm move without a step
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(value, wanted[name], rtol=0, atol=1e-6)
    assert not torch.allclose(fresh["backbone.conv1.0.weight"], wanted["backbone.conv1.0.weight"], atol=1e-3)


def test_a_head_that_is_retrained_starts_anew_all_the_same(saved: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trainer, "set_learning_rates", stand_still)
    again = replace(STILL, retrain_head_epochs=1)
    scores = itertools.count()
    monkeypatch.setattr(trainer, "mean_average_precision", lambda *_: float(next(scores)))
    head = train(again, DATA, CPU, cooccurrence=COOCCURRENCE, start=saved).model.head.state_dict()
    torch.manual_seed(again.seed)
    untrained = build_model(again, DATA, COOCCURRENCE).head.state_dict()
    for name, value in head.items():
        assert torch.equal(value, untrained[name]), name


def test_the_label_graph_is_that_of_the_run(saved: Path):
    together = np.repeat([[1, 1, 0], [0, 0, 1], [0, 0, 0]], 20, axis=0).astype(np.float32)
    model = build_model(KNOBS, DATA, count_cooccurrence(together, DATA.class_names, 1.0))
    mine = model.state_dict()["head.graph.adjacency"].clone()
    assert not torch.equal(mine, Classifier.load(saved).state_dict()["head.graph.adjacency"])
    warm_start(model, saved)
    assert torch.equal(model.state_dict()["head.graph.adjacency"], mine)


def test_calibration_stays_behind(saved: Path):
    given = Classifier.load(saved)
    assert not torch.equal(given.slope, torch.ones(3))
    model = build_model(KNOBS, DATA, COOCCURRENCE)
    warm_start(model, saved)
    assert torch.equal(model.slope, torch.ones(3))
    assert torch.equal(model.offset, torch.zeros(3))
    pictures = torch.from_numpy(DATA.images[np.arange(4)]).unsqueeze(1)
    raw = (given(pictures)[0] - given.offset) / given.slope
    torch.testing.assert_close(model.eval()(pictures)[0], raw, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("knobs", "data", "message"),
    [
        (replace(KNOBS, head="linear"), DATA, "its head is trcgl, not linear; give one of the same network"),
        (replace(KNOBS, pixel_std=0.5), DATA, r"its pixel_std is 0\.25, not 0\.5"),
        (KNOBS, replace(DATA, class_names=("left", "top", "rare")), "its class_names is .*'top', 'left'"),
    ],
)
def test_another_network_is_one_line(saved: Path, knobs, data, message: str):
    cooccurrence = count_cooccurrence(data.targets[data.train], data.class_names, 1.0)
    with pytest.raises(InputError, match=message):
        warm_start(build_model(knobs, data, cooccurrence), saved)
