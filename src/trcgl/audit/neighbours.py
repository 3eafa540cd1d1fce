"""Nearest images by the judge's features, where some pairs can be excluded from the comparison."""

from collections.abc import Callable

import numpy as np

Barred = Callable[[np.ndarray], np.ndarray]
"""Positions of n candidates -> bool [n, M]: True for the references that a candidate must not be compared with."""
CHUNK = 256
"""Candidates that are processed at once; with 160,000 references, their distances take 160 MB."""


def none_barred(references: int) -> Barred:
    return lambda rows: np.zeros((len(rows), references), dtype=bool)


def same_patient(candidates: np.ndarray, references: np.ndarray) -> Barred:
    """Exclude images of the same patient, the image itself included: follow-ups look alike and are not copies."""
    return lambda rows: candidates[rows, None] == references[None, :]


def nearest_distances(candidates: np.ndarray, references: np.ndarray, count: int, barred: Barred) -> np.ndarray:
    """Cosine distances to the nearest references.

    Only the direction of the features counts. Their length grows with contrast and with the number of findings; if it
    counted, an image without clear content would be near to everything.

    Args:
        candidates: float [N, F].
        references: float [M, F].
        count: number of neighbours of each candidate.

    Returns:
        float64 [N, count] (1 - cosine, 0..2), nearest first; inf if a candidate has fewer references.
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
    """Scale the rows of [N, D] to length 1; a row of zeros stays as it is."""
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
