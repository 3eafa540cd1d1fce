"""Pools of extra images, in the pipeline's format for generated images, so that an arm can train on any pool."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.artifacts.shards import ShardWriter
from trcgl.runtime.files import directory_beside, read_parquet, write_parquet

IMAGES, AUDIT = "synthetic", "synthetic_audit.parquet"


@dataclass(frozen=True)
class PoolImage:
    """An image of a pool.

    Attributes:
        target: the finding for which the image was added; it is among `findings`.
        findings: its positive labels.
        source: the image or images from which it is made, or its own name.
        unknown: findings with an unknown label.
    """

    target: str
    findings: tuple[str, ...]
    source: str
    unknown: tuple[str, ...] = ()


def write_pool(out: Path, name: str, extras: Sequence[PoolImage], pixels: Iterable[np.ndarray], size: int) -> None:
    """Write a pool, replacing it as a whole: pictures, `samples.parquet`, and an audit that accepts all.

    Args:
        name: name of the pool; the names of its images begin with it.
        pixels: uint8 [size, size] of each.
    """
    names = [f"{name}-{number:05d}" for number in range(len(extras))]
    samples = pd.DataFrame(
        {
            "sample": pd.Series(names, dtype="str"),
            "target": pd.Series([extra.target for extra in extras], dtype="str"),
            "carrier": pd.Series([extra.source for extra in extras], dtype="str"),
            "findings": [list(extra.findings) for extra in extras],
            "unknown": [list(extra.unknown) for extra in extras],
        }
    )
    with directory_beside(out) as folder:
        (folder / IMAGES).mkdir()
        writer = ShardWriter(folder / IMAGES, size)
        for sample, film in zip(names, pixels, strict=True):
            writer.add(sample, film)
        writer.close()
        write_parquet(folder / IMAGES / "samples.parquet", samples)
        write_parquet(
            folder / AUDIT,
            samples[["sample"]].assign(accepted=True, unverified=pd.Series([[] for _ in extras], dtype=object)),
        )


def accepted_counts(pool: Path) -> dict[str, int]:
    """Number of accepted images per target finding; findings without any are left out."""
    samples = read_parquet(pool / IMAGES / "samples.parquet", ["sample", "target"])
    verdicts = read_parquet(pool / AUDIT, ["sample", "accepted"])
    accepted = samples["sample"].isin(verdicts.loc[verdicts["accepted"].astype(bool), "sample"])
    counts = samples.loc[accepted, "target"].value_counts()
    return {str(target): int(counts[target]) for target in sorted(counts.index)}
