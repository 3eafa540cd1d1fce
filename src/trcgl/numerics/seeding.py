"""Seeds per item: every image, epoch or sample has its own generator, so results do not depend on order or batching."""

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


def unit_intervals(*parts: Part, names: Iterable[str]) -> np.ndarray:
    """For each name, a number in [0, 1) that depends on `parts` and that name alone: `seed_of(*parts, name)` / 2**63.

    All names are processed at once, because one call per name takes four times as long for a table of patients.

    Returns:
        float64, one number per name.
    """
    before = _text([*parts, ""]).encode()
    digests = b"".join([hashlib.sha256(before + name.encode()).digest() for name in names])
    return (np.frombuffer(digests, "<u8")[::4] >> 1) / 2**63
