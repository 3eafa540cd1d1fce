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

from trcgl.graph.cooccurrence import Cooccurrence


def build_adjacency(
    mode: str, cooccurrence: Cooccurrence, *, threshold: float, reweight: float, shrinkage: float
) -> np.ndarray:
    """The adjacency of one mode.

    Args:
        mode: `paper`, `mlgcn`, `lift` or `identity`.
        cooccurrence: of the C findings, in their order.
        threshold: `paper`: entries below become 0; `mlgcn`: entries at or above become 1.
        reweight: `mlgcn`: the share of a node's update that comes from its neighbours; `lift`: the largest such share.
        shrinkage: `lift`: see lift_adjacency.

    Returns:
        float64 [C, C].
    """
    if mode == "paper":
        return paper_adjacency(cooccurrence.conditional, threshold)
    if mode == "mlgcn":
        return mlgcn_adjacency(cooccurrence.conditional, threshold, reweight)
    if mode == "lift":
        return lift_adjacency(cooccurrence.counts, cooccurrence.images, reweight, shrinkage)
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


def lift_adjacency(counts: np.ndarray, images: np.ndarray, reweight: float, shrinkage: float) -> np.ndarray:
    """Row i: neighbours j by log-lift w_ij = max(0, log (n_ij + k) / (e_ij + k)), the rest of 1 for itself.

    n_ij counts images with both findings, e_ij = images_ij P(i) P(j) is what chance alone would give, and k
    (`shrinkage`) draws a small count to lift 1. For k = 1/2, in base 2, this is the information component of
    pharmacovigilance (Norén, Hopstadius and Bate, Stat. Methods Med. Res. 22, 2013); here k is larger, because there a
    weak signal is looked into by a person and here it acts.

    The neighbours' share of row i is `reweight` s / (1 + s), s = sum_j w_ij in nats: a finding whose ties are weak or
    seen a few times listens to itself, where a row normalised to a fixed share would turn the least tie to the full
    share. Findings that avoid each other (negative log-lift) do not speak to each other.

    Args:
        counts, images: int [C, C], see Cooccurrence.
        reweight: in 0..1.
        shrinkage: k > 0, in images.

    Returns:
        float64 [C, C], directed, rows sum to 1.
    """
    known = images.diagonal()
    share = np.divide(counts.diagonal(), known, out=np.zeros(len(counts)), where=known > 0)
    expected = images * np.outer(share, share)
    weights = np.log((counts + shrinkage) / (expected + shrinkage)).clip(min=0.0)
    np.fill_diagonal(weights, 0.0)
    total = weights.sum(axis=1, keepdims=True)
    adjacency = reweight * weights / (1.0 + total)
    np.fill_diagonal(adjacency, 1.0 - adjacency.sum(axis=1))
    return adjacency


def heard_share(adjacency: np.ndarray, listeners: np.ndarray, speakers: np.ndarray) -> float:
    """Of what `listeners` hear from other findings, the share that comes from `speakers`; mean over the listeners.

    Args:
        adjacency: [C, C], not negative.
        listeners, speakers: bool [C].

    Returns:
        A number in 0..1; NaN when no listener hears anybody.
    """
    others = adjacency * ~np.eye(len(adjacency), dtype=bool)
    heard = others[listeners].sum(axis=1)
    shares = others[np.ix_(listeners, speakers)].sum(axis=1)[heard > 0] / heard[heard > 0]
    return float(shares.mean()) if len(shares) else float("nan")
