"""Nearest images by the judge's features, with pairs that must not be compared."""

from collections.abc import Callable

import numpy as np

Barred = Callable[[np.ndarray], np.ndarray]
"""Positions of n candidates -> bool [n, M]: which of the M references each must not be compared with."""
CHUNK = 256
"""Candidates at once: with 160,000 references 160 MB of distances."""


def none_barred(references: int) -> Barred:
    return lambda rows: np.zeros((len(rows), references), dtype=bool)


def same_patient(candidates: np.ndarray, references: np.ndarray) -> Barred:
    """Bars an image from itself and from its patient's others: follow-ups look alike and are not copies."""
    return lambda rows: candidates[rows, None] == references[None, :]


def nearest_distances(candidates: np.ndarray, references: np.ndarray, count: int, barred: Barred) -> np.ndarray:
    """How far the nearest references are, by cosine distance.

    By direction alone: the length of the features grows with contrast and with the number of findings, and would let
    an image of no clear content pass as near to everything.

    Args:
        candidates: float [N, F].
        references: float [M, F].
        count: neighbours of each.

    Returns:
        float64 [N, count] (1 - cosine, 0..2), nearest first; inf where fewer may be compared.
    """
    distance = np.full((len(candidates), count), np.inf)
    found = min(count, len(references))
    if not found or not len(candidates):
        return distance
    left, right = unit_vectors(candidates), unit_vectors(references)
    for start in range(0, len(candidates), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(candidates)))
        between = (1 - left[rows] @ right.T).astype(np.float64).clip(min=0)
        between[barred(rows)] = np.inf
        distance[rows, :found] = np.sort(np.partition(between, found - 1, axis=1)[:, :found], axis=1)
    return distance


def unit_vectors(values: np.ndarray) -> np.ndarray:
    """Rows [N, D] at length 1; a row of zeros stays."""
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
