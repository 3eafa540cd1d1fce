"""The state that changes while a classifier is trained, and the part of it that an interrupted run continues from."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor

from trcgl.classifier.network.model import Classifier
from trcgl.classifier.training.optimizer import build_optimizer
from trcgl.config import TrainingParams


@dataclass
class TrainingState:
    """Weights and everything else that a step or an epoch changes.

    Saved: weights, their average, optimiser, loss scale, epoch and step, history and the best weights. Not saved: the
    random state, because every epoch and step derives its own from the seed, and the untrained head, which also follows
    from the seed.

    Attributes:
        model, average: the weights, and their average over steps (EMA).
        optimizer, scaler: AdamW, and the loss scale of float16.
        untrained_head: initial weights of the head, for the phase that starts a new head.
        epochs_done, step: finished epochs of the run, and optimiser steps since averaging began.
        history: a row per epoch.
        best: `mAP` on validation images, `epoch` (from 1) and averaged `weights` of the best epoch so far.
    """

    model: Classifier
    average: ModelEmaV3
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    untrained_head: dict[str, Tensor]
    epochs_done: int = 0
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=lambda: {"mAP": -math.inf, "epoch": 0, "weights": {}})

    @classmethod
    def start(
        cls, model: Classifier, params: TrainingParams, dtype: torch.dtype, untrained_head: dict[str, Tensor]
    ) -> "TrainingState":
        """The state before the first step.

        Args:
            dtype: in which matrix products and convolutions are computed.
            untrained_head: the head's weights as they were built, also if the model starts from trained ones.
        """
        return cls(
            model=model,
            average=ModelEmaV3(model, decay=params.ema_decay, use_warmup=True),
            optimizer=build_optimizer(model, params),
            scaler=torch.amp.GradScaler(model.pixel_mean.device.type, enabled=dtype == torch.float16),
            untrained_head=untrained_head,
        )

    def saved(self) -> dict[str, Any]:
        """What a ResumePoint keeps."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epochs_done": self.epochs_done,
            "step": self.step,
            "history": self.history,
            "best": self.best,
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Continue from a state that `saved` returned."""
        self.model.load_state_dict(saved["model"])
        self.average.module.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        self.epochs_done, self.step = saved["epochs_done"], saved["step"]
        self.history, self.best = saved["history"], saved["best"]

    def start_new_head(self) -> None:
        """Put an untrained head on the best backbone; optimiser and averaging start again."""
        self.model.load_state_dict(self.best["weights"])
        self.model.head.load_state_dict(self.untrained_head)
        self.optimizer.state.clear()
        self.step = 0
