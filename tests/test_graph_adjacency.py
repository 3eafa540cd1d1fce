"""Adjacency modes against hand computation in float64."""

import numpy as np
import pytest

from trcgl.graph.adjacency import build_adjacency

# P(j given i): directed, with one pair below the paper's threshold
CONDITIONAL = np.array(
    [
        [0.9, 0.6, 0.01],
        [0.2, 0.8, 0.02],
        [0.02, 0.5, 0.7],
    ]
)


def test_paper():
    # (0.6 + 0.2) / 2, (0.01 + 0.02) / 2 < 0.02, (0.02 + 0.5) / 2; the diagonal is 1 + 1
    before = np.array([[2.0, 0.4, 0.0], [0.4, 2.0, 0.26], [0.0, 0.26, 2.0]])
    degree = [2.4, 2.66, 2.26]
    expected = np.array([[before[i, j] / np.sqrt(degree[i] * degree[j]) for j in range(3)] for i in range(3)])
    found = build_adjacency("paper", CONDITIONAL, threshold=0.02, reweight=0.2)
    assert found == pytest.approx(expected, abs=1e-15)
    assert (found == found.T).all()


def test_paper_leaves_its_input_alone():
    before = CONDITIONAL.copy()
    build_adjacency("paper", CONDITIONAL, threshold=0.02, reweight=0.2)
    assert (before == CONDITIONAL).all()


def test_mlgcn_stays_directed():
    found = build_adjacency("mlgcn", CONDITIONAL, threshold=0.2, reweight=0.25)
    # Row 0 hears from 1; row 1 from 0; row 2 from 1 only
    assert found == pytest.approx(np.array([[0.75, 0.25, 0], [0.25, 0.75, 0], [0, 0.25, 0.75]]), abs=1e-15)


def test_mlgcn_shares_equally_and_keeps_one_minus_p_alone():
    conditional = np.array([[1, 0.5, 0.5], [0.1, 1, 0.4], [0.1, 0.1, 1]])
    found = build_adjacency("mlgcn", conditional, threshold=0.4, reweight=0.2)
    assert found == pytest.approx(np.array([[0.8, 0.1, 0.1], [0, 0.8, 0.2], [0, 0, 0.8]]), abs=1e-15)


def test_identity():
    assert (build_adjacency("identity", CONDITIONAL, threshold=0.0, reweight=0.0) == np.eye(3)).all()


def test_unknown_mode():
    with pytest.raises(ValueError, match="'dense' is not known"):
        build_adjacency("dense", CONDITIONAL, threshold=0.0, reweight=0.0)
