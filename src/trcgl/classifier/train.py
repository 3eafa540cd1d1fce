"""The trainer of both models: a loop that reads from top to bottom.

Phase one trains the head on a frozen backbone; phase two trains all. Weights are averaged over steps (EMA); the
averaged weights are evaluated after every epoch, and those of the best validation mAP are kept. The test split is not
in reach here.
"""

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor

from trcgl.classifier.augment import Augmentation
from trcgl.classifier.build import build_model
from trcgl.classifier.data import TrainingData, prefetched
from trcgl.classifier.extra import extra_rows, extra_weight, with_extra
from trcgl.classifier.losses.build import build_loss
from trcgl.classifier.model import Classifier
from trcgl.classifier.predict import predict
from trcgl.classifier.sampling import epoch_order, repeat_factors, steps_of_epoch
from trcgl.classifier.thresholds import tune_thresholds
from trcgl.config import ClassifierParams, ComputeParams, TrainingParams
from trcgl.evaluation.metrics import mean_average_precision
from trcgl.graph.cooccurrence import Cooccurrence
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.device import autocast, pick_device, pick_dtype
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger
from trcgl.runtime.seeding import seed_of

log = get_logger("train")

LOSS_CHECK_STEPS = 50  # Steps between looks at the loss: each look makes the CPU wait for the device
COSINE_FLOOR = 0.01  # Share of the learning rate left at the end


@dataclass(frozen=True)
class Trained:
    """What a run leaves.

    Attributes:
        model: the averaged weights of the best epoch, with tuned thresholds, in evaluation mode.
        history: DataFrame [epoch, phase, loss, val_mAP], one row an epoch.
        best_epoch: counted from 1, as in the history.
        val_probabilities: float32 [len(data.val), C] of that model.
        extra_images: how many extra images there were to draw from.
    """

    model: Classifier
    history: pd.DataFrame
    best_epoch: int
    val_probabilities: np.ndarray
    extra_images: int


def train(
    params: TrainingParams,
    data: TrainingData,
    compute: ComputeParams,
    *,
    cooccurrence: Cooccurrence | None = None,
    steps_per_epoch: int | None = None,
    resume: ResumePoint | None = None,
) -> Trained:
    """Train one classifier.

    Args:
        params: a plain TrainingParams trains the linear head on real images; ClassifierParams chooses its head and
            its extra images.
        data: see TrainingData.
        compute: device and precision. The caller sets the number of threads.
        cooccurrence: counts in the order of data.class_names, for a head with a label graph.
        steps_per_epoch: optimiser steps; None: what the real images repeated by their factors fill.
        resume: where to continue from after an interruption; saved after every epoch. Saved: weights, their average,
            optimiser, loss scale, position, history and the best weights. Not saved: random state, because every
            epoch and step derives its own from the seed.

    Raises:
        InputError: the loss stopped being a number; the message names step and images.
    """
    if params.frozen_epochs and params.initial_weights is None:
        log.warning("frozen_epochs is %d without initial_weights: the head learns on noise", params.frozen_epochs)
    device = pick_device(compute.device)
    torch.manual_seed(params.seed)
    model = build_model(params, data, cooccurrence).to(device).to(memory_format=torch.channels_last)
    average = ModelEmaV3(model, decay=params.ema_decay, use_warmup=True)
    optimizer = torch.optim.AdamW(parameter_groups(model, params.weight_decay))
    scaler = torch.amp.GradScaler(device.type, enabled=pick_dtype(device, compute.precision) == torch.float16)
    loss_function = build_loss(params.loss, data.class_names, data.positives()).to(device)
    augment = Augmentation.from_params(params)
    factors = repeat_factors(data.targets[data.train], params.repeat_threshold, params.repeat_max)
    steps = steps_per_epoch or steps_of_epoch(factors, params.batch_size)
    extra = extra_rows(params, data)
    targets = torch.from_numpy(data.targets)

    done, step, history = 0, 0, []
    best: dict[str, Any] = {"mAP": -math.inf, "epoch": 0, "weights": {}}
    if resume is not None and (state := resume.load()) is not None:
        model.load_state_dict(state["model"])
        average.module.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        scaler.load_state_dict(state["scaler"])
        done, step, history, best = state["epochs_done"], state["step"], state["history"], state["best"]
        log.info("continuing after epoch %d", done)

    epochs = params.frozen_epochs + params.epochs
    for epoch in range(done, epochs):
        started, waited = time.perf_counter(), 0.0
        frozen = epoch < params.frozen_epochs
        model.train()
        model.backbone.requires_grad_(not frozen)
        if frozen:
            model.backbone.eval()  # BatchNorm would otherwise move to statistics the weights do not follow
        torch.manual_seed(seed_of("epoch", params.seed, epoch))  # for dropout, the only global randomness

        order = epoch_order(data.train, factors, params.seed, epoch)
        rows, sample_weights = with_extra(order, extra, extra_weight(params, epoch), params.seed, epoch)
        batches = fixed_batches(rows, params.batch_size, steps)
        batch_weights = fixed_batches(sample_weights, params.batch_size, steps)

        def read(job: tuple[np.ndarray, np.ndarray]) -> tuple[Tensor, Tensor, Tensor]:
            batch, weights = job
            tensors = torch.from_numpy(data.images[batch]).unsqueeze(1), targets[batch], torch.from_numpy(weights)
            if device.type == "cuda":
                tensors = tuple(tensor.pin_memory() for tensor in tensors)
            return tensors[0], tensors[1], tensors[2]

        losses = torch.zeros(len(batches), device=device)
        supply = prefetched(list(zip(batches, batch_weights, strict=True)), read)
        for i in range(len(batches)):
            asked = time.perf_counter()
            images, wanted, weights = (tensor.to(device, non_blocking=True) for tensor in next(supply))
            waited += time.perf_counter() - asked
            progress = epoch - params.frozen_epochs + (i + 1) / len(batches)
            set_learning_rates(optimizer, params, progress)

            images = augment(images.float() / 255.0, seed_of("augment", params.seed, epoch, i))
            with autocast(device, compute.precision):
                logits, _ = model(images.contiguous(memory_format=torch.channels_last))
            loss = loss_function(logits, wanted, weights)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            if params.clip_norm > 0:
                torch.nn.utils.clip_grad_norm_(model.parameters(), params.clip_norm)
            scaler.step(optimizer)
            scaler.update()
            step += 1
            average.update(model, step=step)

            losses[i] = loss.detach()
            if (i + 1) % LOSS_CHECK_STEPS == 0 or i + 1 == len(batches):
                stop_unless_finite(losses[: i + 1], batches, epoch, data)

        seconds = time.perf_counter() - started
        probabilities = predict(
            average.module, data.images, rows=data.val, batch_size=params.batch_size, precision=compute.precision
        )
        val_map = mean_average_precision(data.targets[data.val], probabilities)
        mean_loss, phase = float(losses.mean()), "head" if frozen else "all"
        history.append({"epoch": epoch + 1, "phase": phase, "loss": mean_loss, "val_mAP": val_map})
        if not val_map <= best["mAP"]:  # written so that without any validation positive (NaN) the last epoch wins
            weights_now = {key: value.cpu().clone() for key, value in average.module.state_dict().items()}
            best = {"mAP": val_map, "epoch": epoch + 1, "weights": weights_now}
        log.info(
            "epoch %d/%d (%s): loss %.4f, val mAP %.4f (best %.4f at %d), %.0f images/s, %.0f %% waiting for data, "
            "lr %.2e, %.1f s",
            *(epoch + 1, epochs, phase, mean_loss, val_map, best["mAP"], best["epoch"]),
            *(sum(map(len, batches)) / seconds, 100 * waited / seconds, optimizer.param_groups[-1]["lr"]),
            time.perf_counter() - started,
        )
        if resume is not None:
            resume.save(
                {
                    "model": model.state_dict(),
                    "average": average.module.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "scaler": scaler.state_dict(),
                    "epochs_done": epoch + 1,
                    "step": step,
                    "history": history,
                    "best": best,
                }
            )

    trained: Classifier = average.module
    trained.load_state_dict(best["weights"])
    probabilities = predict(trained, data.images, rows=data.val, batch_size=params.batch_size)
    thresholds = tune_thresholds(data.targets[data.val], probabilities)
    trained.thresholds = dict(zip(data.class_names, thresholds.tolist(), strict=True))
    return Trained(trained, pd.DataFrame(history), best["epoch"], probabilities, len(extra))


def parameter_groups(model: Classifier, weight_decay: float) -> list[dict[str, Any]]:
    """Four groups: backbone and head, each with decay on weights and without on biases, norms and other vectors."""
    groups: list[dict[str, Any]] = []
    for part in ("backbone", "head"):
        parameters = list(getattr(model, part).parameters())
        matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
        vectors = [parameter for parameter in parameters if parameter.ndim < 2]
        groups.append({"part": part, "params": matrices, "weight_decay": weight_decay})
        groups.append({"part": part, "params": vectors, "weight_decay": 0.0})
    return groups


def set_learning_rates(optimizer: torch.optim.Optimizer, params: TrainingParams, progress: float) -> None:
    """Constant `head_lr` while the backbone is frozen (progress <= 0), then linear warm-up and cosine to the floor.

    Args:
        progress: epochs since all parameters are trained; fractional, because epochs differ in length.
    """
    share = 1.0
    if progress > 0:
        warmup = params.warmup_epochs
        if progress < warmup:
            share = progress / warmup
        else:
            along = (progress - warmup) / max(params.epochs - warmup, 1e-9)
            share = COSINE_FLOOR + (1 - COSINE_FLOOR) * 0.5 * (1 + math.cos(math.pi * min(along, 1.0)))
    for group in optimizer.param_groups:
        group["lr"] = share * (params.head_lr if group["part"] == "head" else params.lr)


def fixed_batches(order: np.ndarray, batch_size: int, steps: int) -> list[np.ndarray]:
    """`steps` batches of one size: the rest of an epoch goes to nobody (the next order is new), a short one repeats.

    An epoch smaller than one batch is one batch.
    """
    size = min(batch_size, len(order))
    return np.split(np.resize(order, steps * size), steps)


def stop_unless_finite(losses: Tensor, batches: list[np.ndarray], epoch: int, data: TrainingData) -> None:
    bad = (~losses.isfinite()).nonzero().flatten().tolist()
    if bad:
        images = ", ".join(str(data.names[row]) for row in batches[bad[0]])
        raise InputError(
            f"epoch {epoch + 1}, step {bad[0] + 1}: the loss is {losses[bad[0]].item()}; lower lr or use fp32; "
            f"images of the batch: {images}"
        )
