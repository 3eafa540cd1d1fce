"""Seeds per item: every image, epoch or sample has its own generator, so order and batching change nothing."""

import hashlib

import numpy as np

Part = str | int


def seed_of(*parts: Part) -> int:
    """A 63-bit seed from any tuple of strings and integers, stable across processes, machines and versions."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def rng(*parts: Part) -> np.random.Generator:
    """A NumPy generator seeded by `seed_of(*parts)`."""
    return np.random.default_rng(seed_of(*parts))


def unit_interval(*parts: Part) -> float:
    """A number in [0, 1) that depends on `parts` alone; used to assign patients to splits."""
    return seed_of(*parts) / 2**63
