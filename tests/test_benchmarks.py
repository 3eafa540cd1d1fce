"""The benchmarks' own arithmetic: what a row says, and that rivals take turns."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.__main__ import SPEED
from benchmarks.gpu import Said, operations, rate_row
from benchmarks.report import rounds_row, skipped_row, speed_row
from benchmarks.table import lines_of
from benchmarks.timing import take_turns

from trcgl.runtime.logging import get_logger

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


def test_the_last_figures_said_are_the_ones_read():
    log = get_logger("benchmark test")
    with Said(log) as said:
        log.info("%d: %.0f images/s", 1, 20.0)
        log.info("%d: %.0f images/s", 2, 30.0)
        log.info("something else %d", 7)
    log.info("%d: %.0f images/s", 3, 40.0)
    assert said.values == (2, 30.0)
