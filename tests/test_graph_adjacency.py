"""Adjacency modes against hand computation in float64, and what rare findings hear in each of them."""

import math

import numpy as np
import pytest
from scipy.stats import gamma

from trcgl.config import load_params
from trcgl.graph.adjacency import build_adjacency, inflow_share
from trcgl.graph.cooccurrence import Cooccurrence, count_cooccurrence
from trcgl.phantom.catalogue import BY_NAME, HEAD, NAMES, TAIL
from trcgl.phantom.population import TRAIN, draw_population

# P(j given i): directed, with one pair below the paper's threshold
CONDITIONAL = np.array(
    [
        [0.9, 0.6, 0.01],
        [0.2, 0.8, 0.02],
        [0.02, 0.5, 0.7],
    ]
)


def conditionals(conditional: np.ndarray) -> Cooccurrence:
    """For the modes that read nothing else."""
    nothing = np.zeros(conditional.shape, dtype=np.int64)
    return Cooccurrence(tuple("abcdefgh"[: len(conditional)]), nothing, nothing, nothing, conditional)


def adjacency(mode: str, conditional: np.ndarray, *, threshold: float = 0.0, reweight: float = 0.2) -> np.ndarray:
    return build_adjacency(mode, conditionals(conditional), threshold=threshold, reweight=reweight, confidence=0.9)


def test_paper():
    # (0.6 + 0.2) / 2, (0.01 + 0.02) / 2 < 0.02, (0.02 + 0.5) / 2; the diagonal is 1 + 1
    before = np.array([[2.0, 0.4, 0.0], [0.4, 2.0, 0.26], [0.0, 0.26, 2.0]])
    degree = [2.4, 2.66, 2.26]
    expected = np.array([[before[i, j] / np.sqrt(degree[i] * degree[j]) for j in range(3)] for i in range(3)])
    found = adjacency("paper", CONDITIONAL, threshold=0.02)
    assert found == pytest.approx(expected, abs=1e-15)
    assert (found == found.T).all()


def test_paper_leaves_its_input_alone():
    before = CONDITIONAL.copy()
    adjacency("paper", CONDITIONAL, threshold=0.02)
    assert (before == CONDITIONAL).all()


def test_mlgcn_stays_directed():
    found = adjacency("mlgcn", CONDITIONAL, threshold=0.2, reweight=0.25)
    # Row 0 hears from 1; row 1 from 0; row 2 from 1 only
    assert found == pytest.approx(np.array([[0.75, 0.25, 0], [0.25, 0.75, 0], [0, 0.25, 0.75]]), abs=1e-15)


def test_mlgcn_shares_equally_and_keeps_one_minus_p_alone():
    conditional = np.array([[1, 0.5, 0.5], [0.1, 1, 0.4], [0.1, 0.1, 1]])
    found = adjacency("mlgcn", conditional, threshold=0.4)
    assert found == pytest.approx(np.array([[0.8, 0.1, 0.1], [0, 0.8, 0.2], [0, 0, 0.8]]), abs=1e-15)


def test_identity():
    assert (adjacency("identity", CONDITIONAL) == np.eye(3)).all()


def test_unknown_mode():
    with pytest.raises(ValueError, match="'dense' is not known"):
        adjacency("dense", CONDITIONAL)


def lift(
    counts: list[list[int]],
    images: list[list[int]],
    *,
    given: list[list[int]] | None = None,
    confidence: float,
    reweight: float = 0.5,
) -> np.ndarray:
    """Without `given`, every label is known."""
    counted, known = np.array(counts), np.array(images)
    among = np.repeat(counted.diagonal()[:, None], len(counted), axis=1) if given is None else np.array(given)
    found = Cooccurrence(tuple("abcdefgh"[: len(counts)]), counted, known, among, np.zeros(counted.shape))
    return build_adjacency("lift", found, threshold=0.9, reweight=reweight, confidence=confidence)


def vouched(seen: int, by_chance: float, confidence: float) -> float:
    """Log of the lift that is exceeded with a probability, from the posterior's distribution function."""
    return math.log(gamma(a=seen + 0.5, scale=1 / (by_chance + 0.5)).ppf(1 - confidence))


def test_lift_by_hand():
    # 100 images. Chance gives a, b: 50 * 20 / 100 = 10 and 18 were seen; a, c: 5, seen 5; b, c: 2, seen 1
    found = lift([[50, 18, 5], [18, 20, 1], [5, 1, 10]], [[100] * 3] * 3, confidence=0.9)
    weight = vouched(18, 10.0, 0.9)
    assert weight > 0 > max(vouched(5, 5.0, 0.9), vouched(1, 2.0, 0.9))
    share = 0.5 * weight / (1 + weight)
    expected = [[1 - share, share, 0], [share, 1 - share, 0], [0, 0, 1]]
    assert found == pytest.approx(np.array(expected), abs=1e-12)


def test_lift_compares_where_both_are_known():
    # b is known in 40 images only, of which 25 show a (known in all 100): chance gives 40 * 25/40 * 20/40 = 12.5
    found = lift([[50, 18], [18, 20]], [[100, 40], [40, 40]], given=[[50, 25], [20, 20]], confidence=0.9)
    weight = vouched(18, 12.5, 0.9)
    assert found[0, 1] == pytest.approx(0.5 * weight / (1 + weight))


def test_findings_that_are_commoner_where_both_are_stated_are_no_pair_by_that():
    """Some films state both, independently; the others state one of the two, and hardly ever as present."""
    rng = np.random.default_rng(0)
    both = (rng.random((1500, 2)) < 0.5).astype(float)
    alone = (rng.random((8500, 2)) < 0.05).astype(float)
    alone[np.arange(8500), rng.integers(2, size=8500)] = np.nan
    counted = count_cooccurrence(np.concatenate([both, alone]), ("a", "b"), 1.0)
    found = build_adjacency("lift", counted, threshold=0.0, reweight=0.2, confidence=0.95)
    assert found == pytest.approx(np.eye(2), abs=0.02)


def test_lift_is_directed_and_rows_sum_to_one():
    rng = np.random.default_rng(0)
    base = (rng.random((400, 1)) < 0.3) * 0.4
    targets = (rng.random((400, 5)) < np.array([0.5, 0.3, 0.2, 0.05, 0.01]) + base).astype(float)
    targets[rng.random(targets.shape) < 0.1] = np.nan
    counted = count_cooccurrence(targets, tuple("abcde"), 1.0)
    found = build_adjacency("lift", counted, threshold=0.0, reweight=0.4, confidence=0.9)
    assert found.sum(axis=1) == pytest.approx(np.ones(5))
    assert (found >= 0).all()
    assert (found.diagonal() > 0.6).all()
    assert np.abs(found - found.T).max() > 1e-3


def test_a_common_finding_has_no_say_for_being_common():
    """Independent findings: P(common given i) is 0.6 for every i, and nobody hears it."""
    share = np.array([0.6, 0.1, 0.02])
    counts = np.rint(10_000 * np.outer(share, share)).astype(int)
    np.fill_diagonal(counts, np.rint(10_000 * share).astype(int))
    images = [[10_000] * 3] * 3
    assert (lift(counts.tolist(), images, confidence=0.95) == np.eye(3)).all()
    conditional = counts / counts.diagonal()[:, None]
    paper = adjacency("paper", conditional, threshold=0.02)
    assert paper[2, 0] / (paper[2, 0] + paper[2, 1]) > 0.8


def test_a_pair_seen_once_claims_nothing():
    def heard(together: int, alone: int) -> float:
        counts = [[1000, together], [together, alone]]
        return lift(counts, [[10_000] * 2] * 2, confidence=0.95, reweight=0.2)[1, 0]

    assert heard(1, 1) == 0
    # Always together, a lift of ten, but seen ever more often
    assert 0 < heard(3, 3) < heard(10, 10) < heard(100, 100) < 0.2 * math.log(10) / (1 + math.log(10))


def test_a_finding_never_seen_hears_nobody():
    found = lift([[5, 0], [0, 0]], [[10, 0], [0, 0]], confidence=0.95)
    assert (found == np.eye(2)).all()


def test_inflow_share():
    matrix = np.array([[0.9, 0.1, 0.0], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8]])
    tail, head = np.array([False, True, True]), np.array([True, False, False])
    assert inflow_share(matrix, tail, head) == pytest.approx((0.3 + 0.1) / (0.4 + 0.2))
    assert math.isnan(inflow_share(np.eye(3), tail, head))


def test_head_findings_do_not_drown_tail_ones():
    """Training labels of four phantoms, whose pairs are PadChest's: what the tail hears from the head, by mode."""
    params = load_params("params.yaml").dataset.phantom
    tail, head = (np.array([BY_NAME[name].group == group for name in NAMES]) for group in (TAIL, HEAD))
    modes = {"paper": 0.02, "mlgcn": 0.1, "lift": 0.0}
    shares: dict[str, list[float]] = {mode: [] for mode in modes}
    for seed in range(4):
        shown = [image.view.findings for image in draw_population(seed, params) if image.split == TRAIN]
        targets = np.array([[name in findings for name in NAMES] for findings in shown], dtype=float)
        counted = count_cooccurrence(targets, NAMES, 1.0)
        for mode, threshold in modes.items():
            found = build_adjacency(mode, counted, threshold=threshold, reweight=0.2, confidence=0.95)
            shares[mode].append(inflow_share(found, tail, head))
            if mode == "lift":
                together = NAMES.index("pneumothorax"), NAMES.index("subcutaneous emphysema")
                # The one strong tie within the tail (a lift of 51 in PadChest) is heard
                assert found[together] > 0.05
    mean = {mode: float(np.mean(values)) for mode, values in shares.items()}
    assert mean["lift"] < mean["paper"] / 3
    assert mean["lift"] < mean["mlgcn"] / 3
