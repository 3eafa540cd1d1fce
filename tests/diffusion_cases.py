"""Tiny pipelines of the stock classes, a few images with labels, and parameters small enough for seconds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from tests.shipped import SHIPPED
from tests.tiny_base import SIZE, shared_base
from trcgl.artifacts.shards import ShardedImages, ShardWriter
from trcgl.diffusion.finetuning.finetune import finetune
from trcgl.diffusion.finetuning.journal import Journal
from trcgl.diffusion.generator.base import load_pipeline
from trcgl.diffusion.generator.rows import TrainingRows, labelled_rows
from trcgl.diffusion.pretraining.settings import PretrainParams

CLASSES = {"classes": [{"name": "effusion", "group": "head"}, {"name": "azygos lobe", "group": "tail"}]}
PHRASES = {"effusion": "pleural effusion", "azygos lobe": "azygos lobe"}
CPU = torch.device("cpu")
PARAMS = replace(
    SHIPPED.diffusion,
    seed=1,
    base="",
    base_revision=None,
    prompt_template="chest X-ray, {view} view, {findings}",
    prompt_normal="no finding",
    prompt_tokens=3,
    prompt_sharing="per_finding_with_shared",
    lora_rank=2,
    lora_layers=("attention", "convolution"),
    text_lora_rank=0,
    gradient_checkpointing=False,
    steps=4,
    batch_size=4,
    lr=1e-2,
    prompt_lr=1e-2,
    warmup_steps=1,
    prompt_dropout=0.3,
    tail_fraction=0.5,
    shift=0.2,
    ema_decay=0.5,
    min_snr_gamma=5.0,
)
PRETRAIN = PretrainParams(
    start=None,
    latent_channels=4,
    autoencoder_channels=(8, 8),
    autoencoder_steps=3,
    autoencoder_batch=2,
    autoencoder_lr=1e-3,
    text_width=16,
    text_layers=1,
    unet_channels=(8, 8),
    unet_steps=3,
    unet_batch=4,
    unet_lr=1e-3,
    unet_ema=0.5,
    repeat_threshold=0.0,
    repeat_max=10.0,
)
SAMPLING = replace(
    SHIPPED.sampling,
    seed=5,
    images_per_finding=3,
    images_per_real_image=None,
    label_sets="real",
    carriers="own",
    strength=1.0,
    region_threshold=0.4,
    shift=0.0,
    steps=2,
    guidance_scale=2.0,
    guidance_start=0.0,
    guidance_end=1.0,
    micro_batch=2,
)


def write_images(folder: Path) -> ShardedImages:
    """Twelve images of noise, 0.png to 11.png."""
    writer = ShardWriter(folder, SIZE, 8)
    draw = np.random.default_rng(0)
    for i in range(12):
        writer.add(f"{i}.png", draw.integers(0, 255, (SIZE, SIZE), dtype=np.uint8))
    writer.close()
    return ShardedImages(folder)


def label_table() -> pd.DataFrame:
    """Labels of 0.png to 12.png; the last one has no pixels."""
    return pd.DataFrame(
        {
            "image": [f"{i}.png" for i in range(13)],
            "patient": [f"P{i // 2}" for i in range(12)] + ["P9"],
            "projection": ["PA", "L"] * 6 + [None],
            "sex": ["F", "M"] * 6 + [None],
            "age": pd.array([50, None, 18] * 4 + [1], dtype="Int64"),
            "split": ["train"] * 9 + ["val", "test", "test", "train"],
            "effusion": pd.array([1, 0, None] * 4 + [1], dtype="Int8"),
            "azygos lobe": pd.array([1, 1, 0, 0] * 3 + [1], dtype="Int8"),
        }
    )


def load(base: Path) -> Any:
    return load_pipeline(str(base), None, size=SIZE, dtype=torch.float32)


def run(
    folder: Path, rows: TrainingRows, images: ShardedImages, journal: Journal | None = None, **changes: Any
) -> Path:
    """Fine-tune into `folder`, on a tiny base unless `changes` has one."""
    changes.setdefault("base", str(shared_base()))
    folder.mkdir(parents=True)
    held_out = labelled_rows(label_table(), CLASSES, list(images.index["image"]), "val")
    finetune(
        replace(PARAMS, **changes), rows, held_out, images, PHRASES, folder,
        journal=journal or Journal(), device=CPU, precision="fp32",
    )  # fmt: skip
    return folder
