"""The learning rate over the steps of a phase."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then a cosine down to zero; `lr` of each parameter group is its peak."""

    steps: int
    warmup: int

    def factor(self, step: int) -> float:
        """Fraction of the peak learning rate at `step` (from 0)."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        return 0.5 * (1 + math.cos(math.pi * (step - self.warmup) / max(1, self.steps - self.warmup)))
