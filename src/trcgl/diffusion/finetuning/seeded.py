"""Torch random numbers that depend on the given seed parts alone."""

import torch

from trcgl.numerics.seeding import Part, seed_of


def seeded_generator(*parts: Part) -> torch.Generator:
    """A CPU generator seeded by `seed_of(*parts)`: the same numbers whatever the device of the model."""
    return torch.Generator().manual_seed(seed_of(*parts))
