"""A learned strength of one part of a model."""

import torch
from torch import Tensor, nn


class Strength(nn.Module):
    """A learned factor with a given initial value. A factor that starts at 0 stays 0, so 0 removes its part.

    Args:
        start: initial value.
    """

    value: Tensor

    def __init__(self, start: float):
        super().__init__()
        if start == 0:
            self.register_buffer("value", torch.zeros(()))
        else:
            self.value = nn.Parameter(torch.tensor(float(start)))

    def forward(self, part: Tensor) -> Tensor:
        """value * part."""
        return self.value * part
