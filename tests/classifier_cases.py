"""Images that a tiny network can learn, and parameters small enough for seconds."""

from dataclasses import replace
from typing import Any

import numpy as np

from tests.shipped import SHIPPED
from trcgl.classifier.training.data import TrainingData
from trcgl.config import ClassifierParams, TrainingParams

CPU = replace(SHIPPED.compute, threads=1, device="cpu", precision="fp32", compile=False, workers=None)
NAMES = ("top", "left", "rare")
CONVNEXT: dict[str, Any] = {"depths": [1, 1, 1, 1], "dims": [8, 8, 16, 16], "output_stride": 8}
"""Options of a tiny `convnext_atto`: LayerNorm, so an image's result does not depend on its batch."""
SHARED: dict[str, Any] = {
    "seed": 3,
    "backbone": "resnet10t",
    "backbone_options": {"channels": [8, 8, 16, 16], "output_stride": 8},
    "initial_weights": None,
    "weights_have_seen": (),
    "pixel_mean": 0.4,
    "pixel_std": 0.25,
    "loss": "bce",
    "frozen_epochs": 1,
    "epochs": 3,
    "retrain_head_epochs": 0,
    "patience": None,
    "batch_size": 16,
    "accumulate": 1,
    "lr": 5e-3,
    "head_lr": 5e-3,
    "layer_decay": 1.0,
    "weight_decay": 0.01,
    "warmup_epochs": 0.5,
    "ema_decay": 0.9,
    "sampler": "repeat_factor",
    "repeat_threshold": 0.3,
    "repeat_max": 4.0,
    "flip": 0.0,
    "rotate_degrees": 3.0,
    "shift": 0.02,
    "scale": 0.02,
    "contrast": 0.05,
    "noise": 0.02,
}
TRCGL: dict[str, Any] = {
    "head": "trcgl_paper",
    "csra_heads": 1,
    "csra_lambda": 0.1,
    "decoder_width": 16,
    "gate_strength": 0.05,
    "attention_strength": 0.1,
    "attention_temperature": 1.0,
    "graph_strength": 0.05,
    "adjacency": "paper",
    "adjacency_threshold": 0.02,
    "adjacency_reweight": 0.2,
    "adjacency_confidence": 0.95,
    "label_vectors": None,
    "extra_source": "synthetic",
    "extra_exposure": 0.5,
    "extra_weight": 0.5,
    "extra_until": 1.0,
}


def baseline_params(**changes: Any) -> TrainingParams:
    return replace(SHIPPED.baseline, **{**SHARED, **changes})


def classifier_params(**changes: Any) -> ClassifierParams:
    return replace(SHIPPED.classifier, **{**SHARED, **TRCGL, **changes})


def with_synthetic(data: TrainingData, count: int) -> TrainingData:
    """The last `count` training images declared synthetic: the rare ones drawn for 'rare', the others for 'left'."""
    rows = data.train[-count:]
    target = np.where(data.targets[rows, 2] == 1, 2, 1)
    changed = {"train": data.train[:-count], "synthetic": rows, "synthetic_target": target}
    return TrainingData(**{**vars(data), **changed})


def separable(count: int = 160, size: int = 32) -> TrainingData:
    """Bars and a square on noise; the first three quarters are for training, the last for validation."""
    rng = np.random.default_rng(0)
    targets = (rng.random((count, 3)) < [0.5, 0.4, 0.15]).astype(np.float32)
    images = rng.integers(40, 80, (count, size, size))
    images[targets[:, 0] == 1, 2:8] += 120
    images[targets[:, 1] == 1, :, 2:8] += 120
    images[targets[:, 2] == 1, 18:26, 18:26] -= 40
    targets[:8, 0] = np.nan
    train = count * 3 // 4
    return TrainingData(
        images=images.clip(0, 255).astype(np.uint8),
        targets=targets,
        names=[f"image{i}" for i in range(count)],
        train=np.arange(train),
        val=np.arange(train, count),
        class_names=NAMES,
        class_groups=("head", "head", "tail"),
    )
