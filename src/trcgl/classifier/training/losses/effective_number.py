"""Effective number of samples. https://arxiv.org/abs/1901.05555, section 3."""

from torch import Tensor


def effective_number(count: Tensor, beta: float) -> Tensor:
    """(1 - beta^n) / (1 - beta) for each count n: about n for small n, and at most 1 / (1 - beta)."""
    return (1.0 - beta**count) / (1.0 - beta)
