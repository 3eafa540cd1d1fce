"""Definition of one training phase: which weights are trained, on which batches, with which loss, and for how long."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from trcgl.diffusion.finetuning.schedule import Schedule

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Phase(Generic[Batch]):
    """Everything that `loop.train` needs to know about a phase. Nothing in it changes from step to step.

    Attributes:
        name: name of the phase in logs, loss curve and journal.
        modules: the modules that are trained, in place.
        groups: AdamW parameter groups; each `lr` is a peak that `schedule` scales.
        batch_of: step -> batch; its time is reported as data wait.
        loss_of: (batch, the step's generator) -> scalar loss, a mean over this process's share of the batch.
        images_of: step -> names of its images, for the message when a step fails.
        batch_size: images per step, over all processes together.
        epoch_images: images between two log lines.
        seed: of the random numbers of each step.
        schedule: number of steps, and learning rates.
        clip_norm: largest norm of the gradients; 0: they are not clipped.
        dtype: of matrix products and convolutions in the loss (see numerics.device.pick_dtype); weights keep their own.
        ema_decay: above 0, the final weights are the exponential moving average of the weights over the steps.
        lr_keys, batch_key: names of the params that set the learning rates and `batch_size`, for messages.
    """

    name: str
    modules: Sequence[nn.Module]
    groups: list[dict[str, Any]]
    batch_of: Callable[[int], Batch]
    loss_of: Callable[[Batch, torch.Generator], Tensor]
    images_of: Callable[[int], Sequence[str]]
    batch_size: int
    epoch_images: int
    seed: int
    schedule: Schedule
    clip_norm: float
    dtype: torch.dtype = torch.float32
    ema_decay: float = 0.0
    lr_keys: tuple[str, ...] = ("lr",)
    batch_key: str = "batch_size"
