"""From counts to the matrix a graph convolution multiplies with: out_i = sum_j A_ij x_j, finding i hears finding j.

- `paper`: symmetrised, sparsified and degree-normalised, as the authors of TRCGL-Net (https://arxiv.org/abs/2607.00975)
  do it in their repository; the diagonal is 2 before normalisation.
- `mlgcn`: binarised and re-weighted, ML-GCN (https://arxiv.org/abs/1904.03582) section 3.3, equations 7 and 8; it
  stays directed: row i holds what finding i hears from the others.
- `lift`: a finding hears those that come with it more often than by chance, as far as the counts vouch for it.
- `identity`: no edge between findings; the control that tells whether the graph adds anything.

`paper` and `mlgcn` weigh j by P(j given i), which is high for every i where j is common: rare findings then hear the
common ones, whatever they have to do with them. `lift` divides by P(j).
"""

import numpy as np
from scipy.special import gammaincinv

from trcgl.graph.cooccurrence import Cooccurrence


def build_adjacency(
    mode: str, cooccurrence: Cooccurrence, *, threshold: float, reweight: float, confidence: float
) -> np.ndarray:
    """The adjacency of one mode.

    Args:
        mode: `paper`, `mlgcn`, `lift` or `identity`.
        cooccurrence: of the C findings, in their order.
        threshold: `paper`: entries below become 0; `mlgcn`: entries at or above become 1.
        reweight: `mlgcn`: the share of a node's update that comes from its neighbours; `lift`: the largest such share.
        confidence: `lift`: see lift_adjacency.

    Returns:
        float64 [C, C].
    """
    if mode == "paper":
        return paper_adjacency(cooccurrence.conditional, threshold)
    if mode == "mlgcn":
        return mlgcn_adjacency(cooccurrence.conditional, threshold, reweight)
    if mode == "lift":
        return lift_adjacency(cooccurrence.counts, cooccurrence.images, reweight, confidence)
    if mode == "identity":
        return np.eye(len(cooccurrence.names))
    raise ValueError(f"adjacency '{mode}' is not known; known: paper, mlgcn, lift, identity")


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


def lift_adjacency(counts: np.ndarray, images: np.ndarray, reweight: float, confidence: float) -> np.ndarray:
    """Row i: neighbours j by the log-lift w_ij that the counts vouch for, the rest of 1 for itself.

    n_ij counts images with both findings, and e_ij = images_ij P(i) P(j) is what chance alone would give. The lift
    n_ij / e_ij has the posterior Gamma(n_ij + 1/2, e_ij + 1/2), drawn to 1 where the counts are small (the information
    component of pharmacovigilance: Norén, Hopstadius and Bate, Stat. Methods Med. Res. 22, 2013), and w_ij is the log
    of the value it exceeds with probability `confidence`, or 0 if that is negative. At 0.95 a pair
    seen once has no edge; one as frequent as chance has none at any, however common its findings.

    The neighbours' share of row i is `reweight` s / (1 + s), s = sum_j w_ij in nats: a finding with weak ties listens
    to itself, where a row normalised to a fixed share would blow the least tie up to the full share. Findings that
    avoid each other do not speak to each other.

    Args:
        counts, images: int [C, C], see Cooccurrence.
        reweight: in 0..1.
        confidence: in 0..1, below 1.

    Returns:
        float64 [C, C], directed, rows sum to 1.
    """
    known = images.diagonal()
    share = np.divide(counts.diagonal(), known, out=np.zeros(len(counts)), where=known > 0)
    expected = images * np.outer(share, share)
    weights = np.log(gammaincinv(counts + 0.5, 1.0 - confidence) / (expected + 0.5)).clip(min=0.0)
    np.fill_diagonal(weights, 0.0)
    total = weights.sum(axis=1, keepdims=True)
    adjacency = reweight * weights / (1.0 + total)
    np.fill_diagonal(adjacency, 1.0 - adjacency.sum(axis=1))
    return adjacency


def heard_share(adjacency: np.ndarray, listeners: np.ndarray, speakers: np.ndarray) -> float:
    """Of all that `listeners` hear from other findings, the share that comes from `speakers`.

    Args:
        adjacency: [C, C], not negative.
        listeners, speakers: bool [C].

    Returns:
        A number in 0..1; NaN when no listener hears anybody.
    """
    others = adjacency * ~np.eye(len(adjacency), dtype=bool)
    heard = others[listeners].sum()
    return float(others[np.ix_(listeners, speakers)].sum() / heard) if heard > 0 else float("nan")
