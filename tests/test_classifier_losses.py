"""Losses against formulas written out in float64, their gradients against differences of these formulas."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from timm.loss.asymmetric_loss import AsymmetricLossMultiLabel

from trcgl.classifier.training.counts import ClassCounts
from trcgl.classifier.training.losses.base import MultiLabelLoss
from trcgl.classifier.training.losses.build import LOSSES, build_loss
from trcgl.classifier.training.losses.ldam_drw import LdamDrw
from trcgl.config import LOSSES as CHOICES

NAMES = ("effusion", "nodule", "pneumoperitoneum")
POSITIVES = {"nodule": 300, "pneumoperitoneum": 5, "effusion": 20_000}
NEGATIVES = {"pneumoperitoneum": 60_000, "effusion": 45_000, "nodule": 70_000}
LAST_EPOCHS = 0.9  # of the training: deferred weights are in force

rng = np.random.default_rng(0)
LOGITS = rng.normal(0, 3, (8, 3))
TARGETS = (rng.random((8, 3)) < 0.4).astype(float)
TARGETS[2] = 0.0
TARGETS[6] = [1.0, 0.0, 1.0]
TARGETS[7] = [1.0, np.nan, 0.0]
TARGETS[1, 0] = TARGETS[4, 2] = np.nan
TARGETS[5] = np.nan
WEIGHT = np.array([1, 1, 0.5, 0, 1, 1, 1, 0.25])

Term = Callable[[float, float, int, np.ndarray], float]  # logit, target, class, targets of the image -> loss


def counts(
    order: tuple[str, ...] = NAMES, positives: dict[str, int] = POSITIVES, negatives: dict[str, int] = NEGATIVES
) -> ClassCounts:
    return ClassCounts(*(torch.tensor([side[name] for name in order]).double() for side in (positives, negatives)))


def built(name: str, share: float = 0.0, order: tuple[str, ...] = NAMES) -> MultiLabelLoss:
    """In float64, at the given share of the training."""
    loss = build_loss(name, counts(order)).double()
    loss.start_epoch(share)
    return loss


def value_and_gradient(loss: MultiLabelLoss, logits: np.ndarray = LOGITS, targets: np.ndarray = TARGETS):
    x = torch.from_numpy(logits.copy()).requires_grad_()
    value = loss(x, torch.from_numpy(targets), torch.from_numpy(WEIGHT))
    value.backward()
    assert x.grad is not None
    return value.item(), x.grad.numpy()


def written_out(term: Term, logits: np.ndarray) -> float:
    """Mean over the batch of weight times the sum over known classes of the terms."""
    total = 0.0
    for i, c in np.ndindex(logits.shape):
        if not math.isnan(TARGETS[i, c]):
            total += float(WEIGHT[i]) * term(float(logits[i, c]), float(TARGETS[i, c]), c, TARGETS[i])
    return total / len(logits)


def differences(term: Term, step: float = 1e-5) -> np.ndarray:
    """The gradient of `written_out` by central differences."""
    gradient = np.empty_like(LOGITS)
    for place in np.ndindex(LOGITS.shape):
        values = []
        for sign in (1, -1):
            moved = LOGITS.copy()
            moved[place] += sign * step
            values.append(written_out(term, moved))
        gradient[place] = (values[0] - values[1]) / (2 * step)
    return gradient


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def prior(c: int) -> float:
    positive, negative = POSITIVES[NAMES[c]] + 0.5, NEGATIVES[NAMES[c]] + 0.5
    return positive / (positive + negative)


def bce(x: float, y: float, c: int, image: np.ndarray) -> float:
    return -math.log(sigmoid(x) if y else 1 - sigmoid(x))


def focal(x: float, y: float, c: int, image: np.ndarray) -> float:
    p = sigmoid(x)
    return -0.25 * (1 - p) ** 2 * math.log(p) if y else -0.75 * p**2 * math.log(1 - p)


def asl(x: float, y: float, c: int, image: np.ndarray) -> float:
    p = sigmoid(x)
    m = max(p - 0.05, 0)
    return -(1 - p) * math.log(p) if y else -(m**4) * math.log(1 - m)


def asl_mldecoder(x: float, y: float, c: int, image: np.ndarray) -> float:
    p = sigmoid(x)
    m = max(p - 0.05, 0)
    return -math.log(p) if y else -(m**4) * math.log(1 - m)


def effective(count: int) -> float:
    """Sum of beta^i for i < n, the other way to write the effective number."""
    return math.fsum(0.9999**i for i in range(count))


EFFECTIVE_POSITIVES = [effective(POSITIVES[name]) for name in NAMES]
EFFECTIVE_NEGATIVES = [effective(NEGATIVES[name]) for name in NAMES]


def effective_number_margin(x: float, y: float, c: int, image: np.ndarray) -> float:
    e = EFFECTIVE_POSITIVES
    weight = math.sqrt((1 / e[c]) / (sum(1 / other for other in e) / 3))
    margin = 0.2 * (e[c] - min(e)) / (max(e) - min(e))
    p = sigmoid(x - margin * y)
    return -weight * math.log(p if y else 1 - p)


def distribution_balanced(x: float, y: float, c: int, image: np.ndarray) -> float:
    n = [POSITIVES[name] for name in NAMES]
    drawn = sum(1 / n[k] for k in range(3) if image[k] == 1)
    weight = 0.1 + (sigmoid(10 * ((1 / n[c]) / drawn - 0.2)) if drawn else 1.0)
    nu = 0.05 / 2 * math.log(1 / prior(c) - 1)
    if y:
        p = sigmoid(x - nu)
        return -2 * weight * (1 - p) ** 2 * math.log(p)
    p = sigmoid(2 * (x - nu))
    return -2 * (weight / 2) * p**2 * math.log(1 - p)


def ldam(x: float, y: float, c: int, image: np.ndarray) -> float:
    constant = 0.5 * 5**0.25  # so that the rarest class, with 5, has a margin of 0.5
    cosine = x / 30
    p = sigmoid(30 * (cosine - constant / POSITIVES[NAMES[c]] ** 0.25 * y))
    return -math.log(p if y else 1 - p)


def ldam_drw(x: float, y: float, c: int, image: np.ndarray) -> float:
    mean = 0.0  # of the weights, over all labels
    for name, e_positive, e_negative in zip(NAMES, EFFECTIVE_POSITIVES, EFFECTIVE_NEGATIVES, strict=True):
        mean += POSITIVES[name] / e_positive + NEGATIVES[name] / e_negative
    mean /= sum(POSITIVES.values()) + sum(NEGATIVES.values())
    weight = 1 / (EFFECTIVE_POSITIVES if y else EFFECTIVE_NEGATIVES)[c] / mean
    return weight * ldam(x, y, c, image)


def logit_adjustment(x: float, y: float, c: int, image: np.ndarray) -> float:
    """The paper's softmax over present and absent, their log priors added."""
    present, absent = math.exp(x + math.log(prior(c))), math.exp(math.log(1 - prior(c)))
    return -math.log((present if y else absent) / (present + absent))


# Its gradient is not that of its values: focusing factors are constants
CONSTANT_FOCUS = ("asl_mldecoder", 0.0, asl_mldecoder)
CASES = [
    ("bce", 0.0, bce),
    ("focal", 0.0, focal),
    ("asl", 0.0, asl),
    CONSTANT_FOCUS,
    ("distribution_balanced", 0.0, distribution_balanced),
    ("effective_number_margin", 0.0, effective_number_margin),
    ("ldam_drw", 0.0, ldam),
    ("ldam_drw", LAST_EPOCHS, ldam_drw),
    ("logit_adjustment", 0.0, logit_adjustment),
]


@pytest.mark.parametrize(("name", "share", "term"), CASES)
def test_values_and_gradients_are_those_of_the_formula(name: str, share: float, term: Term):
    value, gradient = value_and_gradient(built(name, share))
    assert value == pytest.approx(written_out(term, LOGITS), rel=1e-6)
    if name != CONSTANT_FOCUS[0]:
        assert gradient == pytest.approx(differences(term), rel=1e-6, abs=1e-7)


def test_every_loss_has_a_name_in_the_parameters():
    assert tuple(LOSSES) == CHOICES
    assert {name for name, *_ in CASES} == set(LOSSES)
    with pytest.raises(ValueError, match="loss 'hinge' is not known; known: bce, focal"):
        build_loss("hinge", counts())


@pytest.mark.parametrize(
    ("name", "gamma_pos", "constant_focus", "same_gradient"),
    [("asl", 1, False, True), ("asl", 1, True, False), ("asl_mldecoder", 0, True, True)],
)
def test_asl_is_timms(name: str, gamma_pos: int, constant_focus: bool, same_gradient: bool):
    """timm computes in float32. By default it differentiates the focusing factor, ML-Decoder's script does not."""
    known = np.nan_to_num(TARGETS)
    x = torch.from_numpy(LOGITS.copy()).requires_grad_()
    peer = AsymmetricLossMultiLabel(
        gamma_neg=4, gamma_pos=gamma_pos, clip=0.05, disable_torch_grad_focal_loss=constant_focus, reduction="batchmean"
    )
    expected = peer(x, torch.from_numpy(known))
    expected.backward()
    assert x.grad is not None
    ours = torch.from_numpy(LOGITS.copy()).requires_grad_()
    value = built(name)(ours, torch.from_numpy(known), torch.ones(len(LOGITS), dtype=torch.float64))
    value.backward()
    assert ours.grad is not None
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    assert torch.allclose(ours.grad, x.grad, rtol=1e-5, atol=1e-6) == same_gradient


def test_a_constant_focus_is_the_derivative_of_the_logarithms_alone():
    """By hand: 1 - p for a positive; m^4 p (1 - p) / (1 - m) for a negative, 0 below the clip."""
    _, gradient = value_and_gradient(built("asl_mldecoder"))
    for i, c in np.ndindex(LOGITS.shape):
        p = sigmoid(float(LOGITS[i, c]))
        m = max(p - 0.05, 0)
        slope = -(1 - p) if TARGETS[i, c] == 1 else m**4 * p * (1 - p) / (1 - m)
        known = not math.isnan(TARGETS[i, c])
        assert gradient[i, c] == pytest.approx(known * WEIGHT[i] * slope / len(LOGITS), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("name", "share", "term"), CASES)
def test_unknown_targets_and_weightless_samples_have_no_gradient(name: str, share: float, term: Term):
    _, gradient = value_and_gradient(built(name, share))
    silent = np.isnan(TARGETS) | (WEIGHT == 0)[:, None]
    assert (gradient[silent] == 0).all()
    assert (gradient[~silent] != 0).any()


@pytest.mark.parametrize(("name", "share", "term"), CASES)
def test_far_logits_stay_finite(name: str, share: float, term: Term):
    logits = torch.tensor([[200.0, -200.0, 200.0], [-200.0, 200.0, -200.0]]).requires_grad_()
    targets = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, math.nan]])
    loss = built(name, share).float()(logits, targets, torch.ones(2))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(("name", "share", "term"), CASES)
def test_counts_follow_the_name_of_a_class_not_its_place(name: str, share: float, term: Term):
    order = [2, 0, 1]
    loss, moved = built(name, share), built(name, share, tuple(NAMES[c] for c in order))
    value, gradient = value_and_gradient(loss)
    moved_value, moved_gradient = value_and_gradient(moved, LOGITS[:, order], TARGETS[:, order])
    assert moved_value == pytest.approx(value, rel=1e-12)
    assert moved_gradient == pytest.approx(gradient[:, order], rel=1e-12)
    assert moved.initial_logits().tolist() == pytest.approx(loss.initial_logits()[order].tolist())


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_class_without_positives_or_negatives_is_allowed(name: str):
    nothing: dict[str, int] = dict.fromkeys(NAMES, 0)
    for positives, negatives in ((nothing, NEGATIVES), (POSITIVES, nothing)):
        loss = build_loss(name, counts(positives=positives, negatives=negatives)).double()
        loss.start_epoch(LAST_EPOCHS)
        value, gradient = value_and_gradient(loss)
        assert math.isfinite(value)
        assert np.isfinite(gradient).all()
        assert loss.initial_logits().isfinite().all()


def test_one_common_count_has_no_margin():
    common = build_loss("effective_number_margin", counts(positives=dict.fromkeys(NAMES, 7))).double()
    assert value_and_gradient(common)[0] == pytest.approx(value_and_gradient(built("bce"))[0], rel=1e-6)


def test_training_starts_from_the_share_of_each_class():
    """The probability that the loss sees at its start is the prior: of a negative, where the sides differ."""
    priors = [prior(c) for c in range(3)]
    seen = {name: built(name).initial_logits() for name in LOSSES}
    seen["logit_adjustment"] = seen["logit_adjustment"] + torch.tensor([math.log(p / (1 - p)) for p in priors])
    nu = torch.tensor([0.025 * math.log(1 / p - 1) for p in priors])
    seen["distribution_balanced"] = 2 * (seen["distribution_balanced"] - nu)
    for name, logits in seen.items():
        assert logits.sigmoid().tolist() == pytest.approx(priors, rel=1e-6), name
    assert built("logit_adjustment").initial_logits().tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("name", ["bce", "logit_adjustment"])
def test_the_start_is_where_constant_logits_are_best(name: str):
    """Half a positive more and half a negative more than the counts: there the loss's slope is 0."""
    loss = built(name)
    x = loss.initial_logits().detach().requires_grad_()
    positives = torch.tensor([POSITIVES[name] + 0.5 for name in NAMES], dtype=torch.float64)
    negatives = torch.tensor([NEGATIVES[name] + 0.5 for name in NAMES], dtype=torch.float64)
    total = positives * loss.terms(x, torch.ones_like(x)) + negatives * loss.terms(x, torch.zeros_like(x))
    total.sum().backward()
    assert x.grad is not None
    assert (x.grad / positives).tolist() == pytest.approx([0.0] * 3, abs=1e-6)


@pytest.mark.parametrize(
    ("epoch", "epochs", "reweighted"), [(0, 1, False), (7, 10, False), (8, 10, True), (12, 15, True)]
)
def test_deferred_weights_depend_on_the_epoch_alone(epoch: int, epochs: int, reweighted: bool):
    fresh, walked = built("ldam_drw", epoch / epochs), built("ldam_drw")
    for past in range(epoch + 1):
        walked.start_epoch(past / epochs)
    expected = written_out(ldam_drw if reweighted else ldam, LOGITS)
    assert value_and_gradient(fresh)[0] == value_and_gradient(walked)[0] == pytest.approx(expected, rel=1e-6)


def test_deferred_weights_give_every_side_of_a_class_its_say():
    """The mean over the training labels is 1; two sides with few enough images weigh the same in total."""
    positives, negatives = {"a": 3, "b": 40}, {"a": 50, "b": 13}
    loss = LdamDrw(counts(("a", "b"), positives, negatives))
    totals = [loss.positive_weight * torch.tensor([3, 40]), loss.negative_weight * torch.tensor([50, 13])]
    assert sum(total.sum().item() for total in totals) == pytest.approx(3 + 40 + 50 + 13)
    assert torch.cat(totals).tolist() == pytest.approx([106 / 4] * 4, rel=5e-3)
    assert loss.margin.tolist() == pytest.approx([15.0, 15.0 * (3 / 40) ** 0.25])
