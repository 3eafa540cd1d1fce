"""data/synthetic: the generated images in shards, and samples.parquet, which says how each image was made."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trcgl.artifacts.shards import ShardWriter
from trcgl.diffusion.sampling.plan import Sample
from trcgl.runtime.files import directory_beside

SAMPLE_SCHEMA = pa.schema(
    [
        ("sample", pa.string()),
        ("target", pa.string()),
        ("carrier", pa.string()),
        ("source", pa.string()),
        ("findings", pa.list_(pa.string())),
        ("unknown", pa.list_(pa.string())),
        ("prompt", pa.string()),
        ("seed", pa.int64()),
    ]
)


def write_samples(folder: Path, plan: Sequence[Sample], images: Iterable[np.ndarray], size: int) -> None:
    """Write `folder` as a whole: shards, their index and samples.parquet; also when there is nothing to write.

    Args:
        images: one uint8 [size, size] for each sample of the plan, in its order.

    Raises:
        ValueError: more or fewer images than samples.
    """
    with directory_beside(folder) as beside:
        writer = ShardWriter(beside, size)
        for sample, image in zip(plan, images, strict=True):
            writer.add(sample.sample, image)
        writer.close()
        rows = [{**asdict(sample), "carrier": sample.carrier.image} for sample in plan]
        pq.write_table(pa.Table.from_pylist(rows, schema=SAMPLE_SCHEMA), beside / "samples.parquet")
