"""Losses against formulas written out in float64."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from trcgl.classifier.losses.build import build_loss

NAMES = ("effusion", "nodule", "pneumoperitoneum")
POSITIVES = {"nodule": 300, "pneumoperitoneum": 5, "effusion": 20_000}
rng = np.random.default_rng(0)
LOGITS = rng.normal(0, 3, (6, 3))
TARGETS = (rng.random((6, 3)) < 0.4).astype(float)
TARGETS[1, 0] = TARGETS[4, 2] = np.nan
TARGETS[5] = np.nan
WEIGHT = np.array([1, 1, 0.5, 0, 1, 1])


def value(loss: nn.Module, logits: np.ndarray = LOGITS) -> float:
    return float(loss.double()(*(torch.from_numpy(array) for array in (logits, TARGETS, WEIGHT))))


def written_out(term) -> float:
    """Mean over the batch of weight times the sum over known classes of term(p, y, c, logit)."""
    total = 0.0
    for i, c in np.ndindex(LOGITS.shape):
        if not math.isnan(TARGETS[i, c]):
            total += WEIGHT[i] * term(LOGITS[i, c], TARGETS[i, c], c)
    return total / len(LOGITS)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_bce():
    expected = written_out(lambda x, y, c: -math.log(sigmoid(x) if y else 1 - sigmoid(x)))
    assert value(build_loss("bce", NAMES, POSITIVES)) == pytest.approx(expected, rel=1e-12)


def test_asl():
    def term(x: float, y: float, c: int) -> float:
        p = sigmoid(x)
        m = max(p - 0.05, 0)
        return -(1 - p) * math.log(p) if y else -(m**4) * math.log(1 - m)

    assert value(build_loss("asl", NAMES, POSITIVES)) == pytest.approx(written_out(term), rel=1e-9)


def test_effective_number_margin():
    inverse = [(1 - 0.9999) / (1 - 0.9999 ** POSITIVES[name]) for name in NAMES]
    weight = [math.sqrt(w / (sum(inverse) / 3)) for w in inverse]
    effective = [1 / w for w in inverse]
    margin = [0.2 * (e - min(effective)) / (max(effective) - min(effective)) for e in effective]
    assert margin[0] == 0.2
    assert margin[2] == 0.0

    def term(x: float, y: float, c: int) -> float:
        p = sigmoid(x - margin[c] * y)
        return -weight[c] * math.log(p if y else 1 - p)

    assert value(build_loss("effective_number_margin", NAMES, POSITIVES)) == pytest.approx(written_out(term), rel=1e-6)


@pytest.mark.parametrize("name", ["bce", "asl", "effective_number_margin"])
def test_unknown_targets_and_weightless_samples_have_no_gradient(name: str):
    logits = torch.from_numpy(LOGITS).requires_grad_()
    build_loss(name, NAMES, POSITIVES).double()(logits, torch.from_numpy(TARGETS), torch.from_numpy(WEIGHT)).backward()
    assert logits.grad is not None
    silent = np.isnan(TARGETS) | (WEIGHT == 0)[:, None]
    assert (logits.grad.numpy()[silent] == 0).all()
    assert (logits.grad.numpy()[~silent] != 0).any()


@pytest.mark.parametrize("name", ["bce", "asl", "effective_number_margin"])
def test_far_logits_stay_finite(name: str):
    logits = torch.tensor([[200.0, -200.0, 200.0]]).requires_grad_()
    targets = torch.tensor([[0.0, 1.0, 1.0]])
    loss = build_loss(name, NAMES, POSITIVES)(logits, targets, torch.ones(1))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_one_common_count_has_no_margin():
    loss = build_loss("effective_number_margin", NAMES, dict.fromkeys(NAMES, 7))
    bce = build_loss("bce", NAMES, POSITIVES)
    assert value(loss) == pytest.approx(value(bce), rel=1e-6)
