"""How many real training images show each class: the input of the losses and of their initial logits."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class ClassCounts:
    """How many real training images show each class, and how many are known not to.

    Attributes:
        positives, negatives: float64 [C], in the order of the logits.
    """

    positives: Tensor
    negatives: Tensor

    @classmethod
    def of(cls, targets: np.ndarray) -> "ClassCounts":
        """The counts of targets [N, C] of 1, 0 and NaN (unknown; not counted)."""
        return cls(*(torch.from_numpy((targets == label).sum(axis=0)).double() for label in (1, 0)))
