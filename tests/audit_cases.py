"""Pictures, a judge and a project small enough to be audited in a second."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from tests.classifier_cases import NAMES, SHARED
from tests.shipped import SHIPPED
from tests.tiny_base import shared_base
from trcgl.artifacts.shards import ShardWriter
from trcgl.audit.copies import overlays
from trcgl.audit.measured import THUMBNAIL
from trcgl.audit.neighbours import Barred
from trcgl.classifier.network.model import Classifier, ModelConfig
from trcgl.diffusion.generator.base import copy_base
from trcgl.diffusion.generator.saved import GeneratorCard
from trcgl.diffusion.sampling.samples_file import SAMPLE_SCHEMA

SIDE = 32
PARAMS = replace(
    SHIPPED.audit,
    seen_percentile=25.0,
    invented_percentile=99.0,
    outlier_percentile=99.0,
    duplicate_percentile=2.0,
    duplicate_feature_percentile=5.0,
    detector=None,
)


def pictures(count: int, seed: int, size: int = THUMBNAIL) -> np.ndarray:
    """Smooth random images, each of its own: uint8 [count, size, size]."""
    noise = np.random.default_rng(seed).normal(size=(count, size, size)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(image, (0, 0), 5) for image in noise])
    low, high = smooth.min(axis=(1, 2), keepdims=True), smooth.max(axis=(1, 2), keepdims=True)
    return ((smooth - low) / (high - low) * 255).astype(np.uint8)


def nearest_copies(candidates: np.ndarray, references: np.ndarray, barred: Barred) -> tuple[np.ndarray, np.ndarray]:
    """Distance in pixels and position of the reference that each candidate is nearest to; inf and -1 without one."""
    found = list(overlays(candidates, references, barred))
    distance = np.array([one[0].distance if one else np.inf for one in found])
    return distance, np.array([one[0].reference if one else -1 for one in found])


def small_classifier(folder: Path, names: tuple[str, ...] = NAMES) -> None:
    torch.manual_seed(0)
    config = ModelConfig(
        backbone="resnet10t", backbone_options=SHARED["backbone_options"], head="linear", head_options={},
        image_size=SIDE, pixel_mean=0.4, pixel_std=0.25, class_names=names,
        class_groups=("head",) * (len(names) - 1) + ("tail",),
    )  # fmt: skip
    model = Classifier(config, None, None)
    model.thresholds = dict.fromkeys(names, 0.5)
    model.eval().save(folder)


def write_generator(folder: Path) -> None:
    """A base beside its card: all that the audit reads of a generator."""
    folder.mkdir()
    copy_base(str(shared_base(SIDE)), folder)
    card = GeneratorCard("base", None, True, "{findings}", "no finding", 2, 2, 0, SIDE, {})
    card.write(folder)


def write_shards(folder: Path, names: list[str], images: np.ndarray) -> None:
    folder.mkdir(parents=True)
    writer = ShardWriter(folder, images.shape[-1], 16)
    for name, image in zip(names, images, strict=True):
        writer.add(name, image)
    writer.close()


def write_samples(folder: Path, images: np.ndarray, finding: str) -> None:
    names = [f"s{i}" for i in range(len(images))]
    write_shards(folder, names, images)
    rows: list[dict[str, Any]] = [
        {
            "sample": name,
            "target": finding,
            "carrier": "0.png",
            "findings": [finding],
            "unknown": [],
            "prompt": "",
            "seed": 0,
        }
        for name in names
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=SAMPLE_SCHEMA), folder / "samples.parquet")


def write_project(folder: Path) -> None:
    """60 real images, a judge, a generator, and five samples drawn for 'rare': the second is a training image."""
    small_classifier(folder / "judge")
    write_generator(folder / "generator")
    real, draw = pictures(60, 0, SIDE), np.random.default_rng(0)
    names = [f"{i}.png" for i in range(60)]
    write_shards(folder / "images", names, real)
    labels = pd.DataFrame(
        {
            "image": names,
            "patient": [f"p{i}" for i in range(60)],
            "split": ["train"] * 25 + ["val"] * 20 + ["test"] * 15,
            **{name: pd.array(draw.integers(0, 2, 60), dtype="Int8") for name in NAMES},
        }
    )
    labels.loc[3, "top"] = pd.NA
    labels.to_parquet(folder / "labels.parquet")
    drawn = pictures(5, 9, SIDE)
    drawn[1] = real[5]
    write_samples(folder / "synthetic", drawn, "rare")
