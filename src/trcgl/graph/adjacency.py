"""From counts to the matrix A of a graph convolution: out_i = sum_j A_ij x_j, so finding i receives from finding j.

- `paper`: symmetrised, sparsified and degree-normalised, as the authors of TRCGL-Net (https://arxiv.org/abs/2607.00975)
  do it in their repository; the diagonal is 2 before normalisation.
- `mlgcn`: binarised and re-weighted, ML-GCN (https://arxiv.org/abs/1904.03582) section 3.3, equations 7 and 8; it
  stays directed: row i holds what finding i receives from the others.
- `lift`: a finding receives from findings that occur with it more often than by chance, as far as counts support this.
- `identity`: no edge between findings; the control that shows whether the graph adds anything.

`paper` and `mlgcn` weight j by P(j given i). This is high for every i if j is common, so rare findings receive from
common ones, whether they are related or not. `lift` divides by P(j).
"""

import numpy as np
from scipy.special import gammaincinv

from trcgl.graph.cooccurrence import Cooccurrence


def build_adjacency(
    mode: str, cooccurrence: Cooccurrence, *, threshold: float, reweight: float, confidence: float
) -> np.ndarray:
    """The adjacency matrix of one mode.

    Args:
        mode: `paper`, `mlgcn`, `lift` or `identity`.
        cooccurrence: counts of the C findings, in the order of the result.
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
        return lift_adjacency(cooccurrence, reweight, confidence)
    if mode == "identity":
        return np.eye(len(cooccurrence.names))
    raise ValueError(f"adjacency '{mode}' is not known; known: paper, mlgcn, lift, identity")


def paper_adjacency(conditional: np.ndarray, threshold: float) -> np.ndarray:
    """D^-1/2 (T(S) + I) D^-1/2 with S the symmetrised P, diagonal 1, and T zeroing entries below `threshold`."""
    weights = (conditional + conditional.T) / 2
    weights[weights < threshold] = 0.0
    # The diagonal of S, which is 1, and that of I
    np.fill_diagonal(weights, 2.0)
    scale = weights.sum(axis=1) ** -0.5
    return scale[:, None] * weights * scale[None, :]


def mlgcn_adjacency(conditional: np.ndarray, threshold: float, reweight: float) -> np.ndarray:
    """Row i: `reweight` split equally among neighbours (P(j given i) at or above `threshold`), the rest for i itself.

    A finding without neighbours gets 1 - `reweight`, as in equation 8.
    """
    edges = (conditional >= threshold).astype(np.float64)
    np.fill_diagonal(edges, 0.0)
    neighbours = edges.sum(axis=1, keepdims=True)
    weights = np.divide(reweight * edges, neighbours, out=np.zeros(edges.shape), where=neighbours > 0)
    np.fill_diagonal(weights, 1.0 - reweight)
    return weights


def lift_adjacency(cooccurrence: Cooccurrence, reweight: float, confidence: float) -> np.ndarray:
    """Row i: neighbours j weighted by w_ij, a lower bound of their log-lift; the rest of 1 for i itself.

    n_ij counts images with both findings, and e_ij = images_ij P(i) P(j) is the count expected by chance, with both
    shares among the images whose labels of i and j are both known. The lift n_ij / e_ij has the posterior Gamma(n_ij +
    1/2, e_ij + 1/2), which is shrunk towards 1 where the counts are small (the information component of
    pharmacovigilance: Norén, Hopstadius and Bate, Stat. Methods Med. Res. 22, 2013). The weight w_ij is the log of the
    value that the lift exceeds with probability `confidence`, or 0 if this log is negative. At 0.95, a pair seen once
    has no edge. A pair that is only as frequent as by chance has none either, however common its findings are.

    The neighbours' share of row i is `reweight` s / (1 + s), with s = sum_j w_ij in nats. A finding with weak
    neighbours therefore keeps mostly its own features, whereas a fixed share would inflate even the weakest edge.
    Findings that occur together less often than by chance have no edge.

    Args:
        reweight: in 0..1.
        confidence: in 0..1, below 1.

    Returns:
        float64 [C, C], directed, rows sum to 1.
    """
    counts, images = cooccurrence.counts, cooccurrence.images
    share = np.divide(cooccurrence.given, images, out=np.zeros(counts.shape), where=images > 0)
    expected = images * (share * share.T)
    weights = np.log(gammaincinv(counts + 0.5, 1.0 - confidence) / (expected + 0.5)).clip(min=0.0)
    np.fill_diagonal(weights, 0.0)
    total = weights.sum(axis=1, keepdims=True)
    adjacency = reweight * weights / (1.0 + total)
    np.fill_diagonal(adjacency, 1.0 - adjacency.sum(axis=1))
    return adjacency


def inflow_share(adjacency: np.ndarray, receivers: np.ndarray, senders: np.ndarray) -> float:
    """The share of `senders` in the weight that the rows of `receivers` have on other findings.

    Args:
        adjacency: [C, C], not negative.
        receivers, senders: bool [C].

    Returns:
        A number in 0..1; NaN if the receivers have no neighbours.
    """
    others = adjacency * ~np.eye(len(adjacency), dtype=bool)
    total = others[receivers].sum()
    return float(others[np.ix_(receivers, senders)].sum() / total) if total > 0 else float("nan")
