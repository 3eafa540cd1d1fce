"""Which samples of a study's generator the shipped parameters would have generated as well."""

from pathlib import Path

import pandas as pd

from study.parameters import Pipeline
from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.shards import ShardedImages
from trcgl.config import checked
from trcgl.diffusion.generator.rows import training_rows
from trcgl.diffusion.sampling.counts import first_samples
from trcgl.runtime.files import read_parquet


def shipped_verdicts(study: Pipeline, synthetic: Path, audit: Path) -> pd.DataFrame:
    """The verdicts on the samples that the shipped params file would have generated; a study generates more.

    The samples are the same, because a sample depends only on its finding and its number. The verdicts are the same
    with one exception: a sample that was rejected as a duplicate of an earlier sample of another finding, where the
    shipped parameters would not have generated that earlier one.
    """
    labels = read_parquet(study.data / "labels/labels.parquet", ["image", "split", "projection"])
    classes = read_classes(study.data / "labels/classes.json")
    rows = training_rows(labels, classes, list(ShardedImages(study.data / "images/diffusion").index["image"]))
    samples = read_parquet(synthetic / "samples.parquet", ["sample", "target"])
    sampling = checked(study.shipped, str(study.file)).sampling
    shipped = samples[first_samples(samples["target"], rows, sampling)]
    verdicts = read_parquet(audit, ["sample", "accepted", "unverified"])
    return verdicts[verdicts["sample"].isin(shipped["sample"])].reset_index(drop=True)
