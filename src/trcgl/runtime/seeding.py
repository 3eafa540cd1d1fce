"""Seeds per item: every image, epoch or sample has its own generator, so order and batching change nothing."""

import hashlib
from collections.abc import Iterable

import numpy as np

Part = str | int


def seed_of(*parts: Part) -> int:
    """A 63-bit seed from any tuple of strings and integers, stable across processes, machines and versions."""
    return _first_63_bits(_text(parts).encode())


def _text(parts: Iterable[Part]) -> str:
    return "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)


def _first_63_bits(text: bytes) -> int:
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little") >> 1


def rng(*parts: Part) -> np.random.Generator:
    """A NumPy generator seeded by `seed_of(*parts)`."""
    return np.random.default_rng(seed_of(*parts))


def unit_intervals(*parts: Part, names: Iterable[str]) -> list[float]:
    """For each name, a number in [0, 1) that depends on `parts` and that name alone: `seed_of(*parts, name)` / 2**63.

    All of them at once, because a table of patients takes three times as long one by one.
    """
    before = _text([*parts, ""]).encode()
    return [_first_63_bits(before + name.encode()) / 2**63 for name in names]
