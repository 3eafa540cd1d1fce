"""How often findings co-occur in the real training images, and how often one occurs given another.

Only training rows are counted (validation and test must not shape the model), and never synthetic ones (the graph would
otherwise repeat the generator's prompts).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trcgl.runtime.damage import damaged
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_arrays, written_beside


@dataclass(frozen=True)
class Cooccurrence:
    """Counts and conditional probabilities over one list of findings.

    Attributes:
        names: the C findings, which are the rows and columns of the matrices.
        counts: int64 [C, C]; counts[i, j] is the number of images with i and j, counts[i, i] of images with i.
        images: int64 [C, C]; number of images whose labels of i and j are both known; `counts` are among these. Without
            unknown labels all entries are equal.
        given: int64 [C, C]; given[i, j] is the number of images with i whose label of j is known.
        conditional: float64 [C, C]; conditional[i, j] = P(j given i) = counts[i, j] / (given[i, j] + smoothing).
    """

    names: tuple[str, ...]
    counts: np.ndarray
    images: np.ndarray
    given: np.ndarray
    conditional: np.ndarray

    def for_names(self, names: tuple[str, ...]) -> "Cooccurrence":
        """The counts for `names`, in their order; rows and columns are looked up by name.

        Raises:
            InputError: a name is missing.
        """
        missing = [name for name in names if name not in self.names]
        if missing:
            raise InputError(f"the co-occurrence counts lack '{missing[0]}'; run dvc repro build_cooccurrence")
        order = [self.names.index(name) for name in names]
        chosen = np.ix_(order, order)
        matrices = (self.counts, self.images, self.given, self.conditional)
        return Cooccurrence(tuple(names), *(matrix[chosen] for matrix in matrices))

    def save(self, path: str | Path) -> None:
        """Write the arrays as .npz. Equal content gives equal bytes: NumPy gives all members a constant date."""
        with written_beside(path) as beside:
            np.savez(
                beside,
                names=np.array(self.names),
                counts=self.counts,
                images=self.images,
                given=self.given,
                conditional=self.conditional,
            )

    @classmethod
    def load(cls, path: str | Path) -> "Cooccurrence":
        """Read what `save` wrote.

        Raises:
            InputError: the file is damaged or of another kind.
        """
        arrays = read_arrays(path, ["names", "counts", "images", "given", "conditional"])
        names = tuple(arrays.pop("names").tolist())
        if any(matrix.shape != (len(names), len(names)) for matrix in arrays.values()):
            raise damaged(path, f"the matrices do not match the {len(names)} findings")
        return cls(names, **arrays)


def count_cooccurrence(targets: np.ndarray, names: tuple[str, ...], smoothing: float) -> Cooccurrence:
    """Count pairs of findings.

    Args:
        targets: [N, C] of 1, 0 and NaN (unknown) for real training images; unknown labels are not counted.
        names: the C findings.
        smoothing: added to the denominator of every probability, so that a finding seen once does not give a
            probability of 1. With 0, the probabilities given a finding that was never seen are 0.
    """
    present, known = targets == 1, ~np.isnan(targets)
    counts, given = _pairs(present, present), _pairs(present, known)
    divisor = given + float(smoothing)
    conditional = np.divide(counts, divisor, out=np.zeros(counts.shape), where=divisor > 0)
    return Cooccurrence(tuple(names), counts, _pairs(known, known), given, conditional)


def _pairs(left: np.ndarray, right: np.ndarray, rows: int = 2**13) -> np.ndarray:
    """left.T @ right of bool [N, C], as counts: int64 [C, C].

    The product is computed in float32, which is exact for whole numbers up to 2**24, on blocks of `rows` rows, which
    fit into a core's cache. NumPy's integer product is slow (17 s instead of 0.1 s for 100,000 images of 174 findings).
    """
    total = np.zeros((left.shape[1], right.shape[1]), np.int64)
    for start in range(0, len(left), rows):
        part = slice(start, start + rows)
        total += (left[part].T.astype(np.float32) @ right[part].astype(np.float32)).astype(np.int64)
    return total
