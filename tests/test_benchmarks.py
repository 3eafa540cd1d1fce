"""The benchmarks' own arithmetic: what a row says, and that rivals take turns."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.__main__ import SPEED
from benchmarks.gpu import Said, Sizes, Training, operations, rate_row
from benchmarks.report import rounds_row, skipped_row, speed_row
from benchmarks.table import lines_of
from benchmarks.timing import take_turns

from trcgl.diffusion.finetuning import loop
from trcgl.diffusion.finetuning.meter import Meter

KEYS = {"question", "ours", "peer", "floor", "unit", "ratio", "target", "better", "holds", "command"}


@pytest.mark.parametrize(("ratios", "holds"), [([0.8, 0.9, 9.0], True), ([0.8, 1.2, 1.3], False)])
def test_a_cost_holds_when_its_median_is_low_enough(ratios: list[float], holds: bool):
    row = speed_row("q", ours=1, peer=2, floor=None, unit="s", ratios=ratios, most=1.0, command="c")
    assert (row["holds"], row["better"], row["ratio"]) == (holds, "lower", ratios[1])
    assert set(row) >= KEYS


@pytest.mark.parametrize(("ratios", "holds"), [([0.1, 3.6, 4.0], True), ([1.0, 3.4, 9.0], False)])
def test_a_rate_holds_when_its_median_is_high_enough(ratios: list[float], holds: bool):
    row = speed_row("q", ours=1, peer=2, floor=3, unit="1/s", ratios=ratios, least=3.5, command="c")
    assert (row["holds"], row["better"]) == (holds, "higher")


@pytest.mark.parametrize("peer", [[2.0, 2.0, 5.0], np.array([2.0, 2.0, 5.0])])
def test_rounds_are_compared_one_by_one(peer: "list[float] | np.ndarray"):
    """The ratio of the medians would be 2."""
    row = rounds_row("q", [4.0, 1.0, 5.0], peer, floor=0.5, unit="s", most=1.0, command="c")
    assert (row["ours"], row["peer"], row["floor"], row["ratio"]) == (4.0, 2.0, 0.5, 1.0)
    assert (row["spread"], row["holds"]) == ([0.75, 1.5], True)


def test_without_its_peer_nothing_is_measured_and_nothing_holds():
    row = skipped_row("q", "x is not installed", "s", "ratio of 1 or less", "lower", "c")
    assert set(row) == KEYS
    assert (row["ratio"], row["holds"]) == (None, False)
    assert "x is not installed" in str(row["question"])


def test_rivals_take_turns_after_warming_up():
    order: list[str] = []
    now = iter(range(100))
    timed = take_turns(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3, clock=lambda: float(next(now))
    )
    assert order == ["a", "b"] * 4
    assert np.array_equal(timed.ratios("a", "b"), np.ones(3))


def test_every_benchmark_of_the_list_exists():
    for name in SPEED:
        assert importlib.util.find_spec(f"benchmarks.{name}"), name


def test_a_benchmark_that_was_not_run_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("benchmarks.table.RESULTS", tmp_path)
    assert lines_of("cache") == ["| cache: not run | | | | | | |"]


def test_a_rate_is_given_beside_the_ceiling():
    row = rate_row("q", rate=100, flops=2e9, ceiling=1e12, floor=120, waited=0.0123)
    assert (row["teraflops"], row["share_of_ceiling"], row["data_wait"]) == (0.2, 0.2, 0.0123)
    assert set(row) >= KEYS


def test_operations_are_two_per_multiply_add():
    left, right = torch.ones(3, 5), torch.ones(5, 7)
    assert operations(lambda: left @ right) == 2 * 3 * 5 * 7


def test_the_last_speed_that_the_generators_trainer_says_is_the_one_read():
    with Said(loop.log) as said:
        for seconds in (1.0, 0.5):
            meter = Meter("prompt", steps=9, batch_size=4, epoch_images=4)
            meter.add(seconds, waited=seconds / 4)
            meter.report(1, loss=0.5)
        loop.log.info("something else %d", 7)
    meter.add(2.0, waited=0.0)
    meter.report(2, loss=0.5)
    assert (said.rate, said.waited) == (8.0, 0.25)


def test_the_classifiers_trainer_says_its_speed(tmp_path: Path):
    sizes = Sizes(backbone="convnextv2_atto", pixels=32, findings=3, images=24, batches=(4,), steps=2)
    training = Training(tmp_path, sizes, torch.device("cpu"))
    rate, waited = training.rate(replace(training.params, batch_size=4), replace(training.compute, precision="fp32"))
    assert rate > 0
    assert 0 <= waited < 1
