"""The trainer of both models: a loop that reads from top to bottom.

Phase one trains the head on a frozen backbone; phase two trains all; phase three, where asked for, a new head on the
best backbone. Weights are averaged over steps (EMA); the averaged weights are evaluated after every epoch, and those of
the best validation mAP are kept. The test split is not in reach here.

Several processes share every batch, and average gradients and BatchNorm statistics before each step of the optimiser:
weights and their average stay the same everywhere. BatchNorm normalises with what one process computes at once (its
share of the batch divided by `accumulate`); all else is as in one process with the same batch.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor

from trcgl.artifacts.pixels import prefetched
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.training.augment import Augmentation
from trcgl.classifier.training.build import build_model, loss_of
from trcgl.classifier.training.calibration import fit_scalings
from trcgl.classifier.training.data import TrainingData
from trcgl.classifier.training.extra import extra_rows, extra_weight, with_extra
from trcgl.classifier.training.optimizer import build_optimizer, set_learning_rates
from trcgl.classifier.training.sampling import class_aware_order, epoch_order, sampling_factors, steps_of_epoch
from trcgl.classifier.training.schedule import epochs_of, phase_of, stops_early
from trcgl.classifier.training.thresholds import tune_thresholds
from trcgl.classifier.training.together import equal_part, gradients_and_statistics, predict_together
from trcgl.config import ComputeParams, TrainingParams
from trcgl.graph.cooccurrence import Cooccurrence
from trcgl.metrics import mean_average_precision
from trcgl.numerics.device import autocast, pick_device, pick_dtype
from trcgl.numerics.gradients import clip_gradients
from trcgl.numerics.processes import ALONE, Processes, stop_unless_together
from trcgl.numerics.seeding import seed_of
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger

log = get_logger("train")

LOSS_CHECK_STEPS = 50  # Steps between looks at the loss: each look makes the CPU wait for the device


@dataclass(frozen=True)
class Trained:
    """What a run leaves.

    Attributes:
        model: the averaged weights of the best epoch, calibrated, with tuned thresholds, in evaluation mode.
        history: DataFrame [epoch, phase, loss, val_mAP], one row an epoch; phases as in schedule.py. Epochs that early
            stopping left out have no row.
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
    processes: Processes = ALONE,
    tell: Callable[[pd.DataFrame], None] = lambda history: None,
) -> Trained:
    """Train one classifier.

    Args:
        params: a plain TrainingParams trains the linear head on real images; ClassifierParams chooses its head and
            its extra images.
        data: see TrainingData.
        compute: device, precision, and whether the network is compiled. The caller sets the number of threads.
        cooccurrence: counts in the order of data.class_names, for a head with a label graph.
        steps_per_epoch: optimiser steps; None: what the real images repeated by their factors fill.
        resume: where to continue from after an interruption; saved after every epoch. Saved: weights, their average,
            optimiser, loss scale, position, history and the best weights. Not saved: random state, because every
            epoch and step derives its own from the seed.
        processes: who else trains this model. Process 0 saves where to continue from; all continue from there.
        tell: is given the history so far after every epoch, in process 0.

    Raises:
        InputError: loss or gradient stopped being a number (the message names step and images), batches do not divide
            into equal parts, or the processes continue from different places.
    """
    if params.frozen_epochs and params.initial_weights is None:
        log.warning("frozen_epochs is %d without initial_weights: the head learns on noise", params.frozen_epochs)
    device = pick_device(compute.device)
    torch.manual_seed(params.seed)
    model = build_model(params, data, cooccurrence).to(device).to(memory_format=torch.channels_last)
    untrained_head = {key: value.clone() for key, value in model.head.state_dict().items()}
    average = ModelEmaV3(model, decay=params.ema_decay, use_warmup=True)
    if compute.compile:
        model.compile()
    optimizer = build_optimizer(model, params)
    scaler = torch.amp.GradScaler(device.type, enabled=pick_dtype(device, compute.precision) == torch.float16)
    loss_function = loss_of(params, data).to(device)
    augment = Augmentation.from_params(params)
    factors = sampling_factors(params, data.targets[data.train])
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
    stop_unless_together(done, "epochs", processes, device)

    epochs = epochs_of(params)
    for epoch in range(done, epochs):
        phase = phase_of(params, epoch)
        if phase == "all" and stops_early(history, params.patience):
            continue
        if epoch == params.frozen_epochs + params.epochs:  # The head starts anew, and with it optimiser and average
            model.load_state_dict(best["weights"])
            model.head.load_state_dict(untrained_head)
            optimizer.state.clear()
            step = 0
        started, waited = time.perf_counter(), 0.0
        frozen = phase != "all"
        loss_function.start_epoch(epoch / epochs)
        model.train()
        model.backbone.requires_grad_(not frozen)
        if frozen:
            model.backbone.eval()  # BatchNorm would otherwise move to statistics the weights do not follow
        # For dropout, the only global randomness, of the images of this process
        torch.manual_seed(seed_of("epoch", params.seed, epoch) + processes.index)

        if phase == "retrain" or params.sampler == "class_aware":
            count = steps * params.batch_size
            order = class_aware_order(data.train, data.targets[data.train], count, params.seed, epoch)
        else:
            order = epoch_order(data.train, factors, params.seed, epoch)
        rows, sample_weights = with_extra(order, extra, extra_weight(params, epoch), params.seed, epoch)
        batches = fixed_batches(rows, params.batch_size, steps)
        batch_weights = fixed_batches(sample_weights, params.batch_size, steps)
        part = equal_part(len(batches[0]), params.accumulate, processes.count)
        share = slice(processes.index * part * params.accumulate, (processes.index + 1) * part * params.accumulate)
        jobs = [(batch[share], weights[share]) for batch, weights in zip(batches, batch_weights, strict=True)]

        def read(job: tuple[np.ndarray, np.ndarray]) -> tuple[Tensor, Tensor, Tensor]:
            batch, weights = job
            tensors = torch.from_numpy(data.images[batch]).unsqueeze(1), targets[batch], torch.from_numpy(weights)
            if device.type == "cuda":
                tensors = tuple(tensor.pin_memory() for tensor in tensors)
            return tensors[0], tensors[1], tensors[2]

        losses, norms = torch.zeros(len(batches), device=device), torch.zeros(len(batches), device=device)
        supply = prefetched(jobs, read)
        for i in range(len(batches)):
            asked = time.perf_counter()
            images, wanted, weights = (tensor.to(device, non_blocking=True) for tensor in next(supply))
            waited += time.perf_counter() - asked
            progress = epoch - params.frozen_epochs + (i + 1) / len(batches)
            set_learning_rates(optimizer, params, progress)

            seed = seed_of("augment", params.seed, epoch, i)
            images = augment(images.float() / 255.0, seed, first=share.start, of=len(batches[i]))
            images = images.contiguous(memory_format=torch.channels_last)
            optimizer.zero_grad(set_to_none=True)
            parts = zip(images.split(part), wanted.split(part), weights.split(part), strict=True)
            for some_images, some_wanted, some_weights in parts:
                with autocast(device, compute.precision):
                    logits, _ = model(some_images)
                loss = loss_function(logits, some_wanted, some_weights) / params.accumulate
                scaler.scale(loss).backward()
                losses[i] += loss.detach()
            if processes.count > 1:
                processes.average([losses[i], *gradients_and_statistics(model)])
            scaler.unscale_(optimizer)
            norm = clip_gradients(model.parameters(), params.clip_norm)
            if not scaler.is_enabled():  # It tries scales of float16 that are too large, and skips these steps
                norms[i] = norm
            scaler.step(optimizer)
            scaler.update()
            step += 1
            average.update(model, step=step)

            if (i + 1) % LOSS_CHECK_STEPS == 0 or i + 1 == len(batches):
                stop_unless_finite(losses[: i + 1], norms[: i + 1], batches, epoch, data)

        seconds = time.perf_counter() - started
        probabilities = predict_together(
            average.module, data, processes, batch_size=params.batch_size, precision=compute.precision
        )
        val_map = mean_average_precision(data.targets[data.val], probabilities)
        mean_loss = float(losses.mean())
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
        if processes.index == 0:
            tell(pd.DataFrame(history))
        if phase == "all" and stops_early(history, params.patience):
            log.info("no better val mAP in %s epochs: all parameters have been trained", params.patience)
        if resume is not None and processes.index == 0:
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

    def probabilities_of(model: Classifier) -> np.ndarray:
        return predict_together(model, data, processes, batch_size=params.batch_size, precision="fp32")

    prevalence = np.nanmean(data.targets[data.train], axis=0)
    scalings = fit_scalings(data.targets[data.val], probabilities_of(trained), prevalence)
    trained.calibrate(dict(zip(data.class_names, scalings, strict=True)))
    probabilities = probabilities_of(trained)
    thresholds = tune_thresholds(data.targets[data.val], probabilities)
    trained.thresholds = dict(zip(data.class_names, thresholds.tolist(), strict=True))
    return Trained(trained, pd.DataFrame(history), best["epoch"], probabilities, len(extra))


def fixed_batches(order: np.ndarray, batch_size: int, steps: int) -> list[np.ndarray]:
    """`steps` batches of one size: the rest of an epoch goes to nobody (the next order is new), a short one repeats.

    An epoch smaller than one batch is one batch.
    """
    size = min(batch_size, len(order))
    return np.split(np.resize(order, steps * size), steps)


def stop_unless_finite(
    losses: Tensor, norms: Tensor, batches: list[np.ndarray], epoch: int, data: TrainingData
) -> None:
    """Stop at the first step of an epoch whose loss or gradient norm (both [steps so far]) is not finite."""
    bad = (~(losses.isfinite() & norms.isfinite())).nonzero().flatten().tolist()
    if bad:
        loss = losses[bad[0]].item()
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient's norm is {norms[bad[0]].item()}"
        images = ", ".join(str(data.names[row]) for row in batches[bad[0]])
        raise InputError(
            f"epoch {epoch + 1}, step {bad[0] + 1}: {what}; lower lr or use fp32; images of the batch: {images}"
        )
