"""From P(j given i) to the matrix a graph convolution multiplies with: out_i = sum_j A_ij x_j.

- `paper`: symmetrised, sparsified and degree-normalised, as the authors of TRCGL-Net (https://arxiv.org/abs/2607.00975)
  do it in their repository; the diagonal is 2 before normalisation.
- `mlgcn`: binarised and re-weighted, ML-GCN (https://arxiv.org/abs/1904.03582) section 3.3, equations 7 and 8; it
  stays directed: row i holds what finding i hears from the others.
- `identity`: no edge between findings; the control that tells whether the graph adds anything.
"""

import numpy as np


def build_adjacency(mode: str, conditional: np.ndarray, *, threshold: float, reweight: float) -> np.ndarray:
    """The adjacency of one mode.

    Args:
        mode: `paper`, `mlgcn` or `identity`.
        conditional: float [C, C], P(j given i).
        threshold: `paper`: entries below become 0; `mlgcn`: entries at or above become 1.
        reweight: `mlgcn`: the share of a node's update that comes from its neighbours.

    Returns:
        float64 [C, C].
    """
    if mode == "paper":
        return paper_adjacency(conditional, threshold)
    if mode == "mlgcn":
        return mlgcn_adjacency(conditional, threshold, reweight)
    if mode == "identity":
        return np.eye(len(conditional))
    raise ValueError(f"adjacency '{mode}' is not known; known: paper, mlgcn, identity")


def paper_adjacency(conditional: np.ndarray, threshold: float) -> np.ndarray:
    """D^-1/2 (T(S) + I) D^-1/2 with S the symmetrised P, diagonal 1, and T zeroing entries below `threshold`."""
    weights = (conditional + conditional.T) / 2
    np.fill_diagonal(weights, 1.0)
    weights[weights < threshold] = 0.0
    # A threshold above 1 would otherwise cut the node's own place
    np.fill_diagonal(weights, 2.0)
    scale = weights.sum(axis=1) ** -0.5
    return scale[:, None] * weights * scale[None, :]


def mlgcn_adjacency(conditional: np.ndarray, threshold: float, reweight: float) -> np.ndarray:
    """Row i: `reweight` shared equally by its neighbours (P(j given i) at or above `threshold`), the rest for itself.

    A finding without neighbours keeps 1 - `reweight`, as equation 8 has it.
    """
    edges = (conditional >= threshold).astype(np.float64)
    np.fill_diagonal(edges, 0.0)
    neighbours = edges.sum(axis=1, keepdims=True)
    weights = np.divide(reweight * edges, neighbours, out=np.zeros(edges.shape), where=neighbours > 0)
    np.fill_diagonal(weights, 1.0 - reweight)
    return weights
