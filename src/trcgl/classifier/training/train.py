"""The trainer of both models: one training loop, written to be read from top to bottom.

Phase one trains the head on a frozen backbone. Phase two trains all parameters. The optional phase three trains a new
head on the best backbone. Weights are averaged over steps (EMA). The averaged weights are evaluated after every epoch,
and those with the best validation mAP are kept. The trainer has no access to the test split.

Several processes share every batch. They average gradients and BatchNorm statistics before each optimiser step, so that
the weights and their averages stay equal in all processes. BatchNorm normalises over the images that one process
computes at once (its share of the batch divided by `accumulate`); all else is as in one process with the same batch.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from trcgl.artifacts.pixels import prefetched
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.receptive_field import receptive_shift
from trcgl.classifier.training.augment import Augmentation
from trcgl.classifier.training.build import build_model, loss_of
from trcgl.classifier.training.calibration import fit_scalings
from trcgl.classifier.training.data import TrainingData
from trcgl.classifier.training.extra import Extra, extra_images, extra_weight, with_extra
from trcgl.classifier.training.known_places import PlacesOfBatch
from trcgl.classifier.training.losses.base import MultiLabelLoss
from trcgl.classifier.training.one_image import naming_accumulate, warn_of_one_image
from trcgl.classifier.training.optimizer import set_learning_rates
from trcgl.classifier.training.sampling import class_aware_order, epoch_order, sampling_factors, steps_of_epoch
from trcgl.classifier.training.schedule import epochs_of, phase_of, share_done, stops_early
from trcgl.classifier.training.sections import lower_rates, section_of
from trcgl.classifier.training.state import TrainingState
from trcgl.classifier.training.thresholds import tune_thresholds
from trcgl.classifier.training.together import equal_part, gradients_and_statistics, predict_together
from trcgl.classifier.training.warm_start import warm_start
from trcgl.config import ComputeParams, TrainingParams
from trcgl.graph.cooccurrence import Cooccurrence
from trcgl.metrics import has_both, mean_average_precision, prevalence_weights
from trcgl.numerics.device import autocast, fp32_or, pick_device, pick_dtype
from trcgl.numerics.gradients import clip_gradients
from trcgl.numerics.processes import ALONE, Processes, stop_unless_together
from trcgl.numerics.seeding import seed_of
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.errors import InputError, some_of
from trcgl.runtime.logging import get_logger

log = get_logger("train")

CLIP_NORM = 1.0  # Norm of all gradients together: one batch with large gradients must not undo many steps
LOOK_IMAGES = 64
"""Number of training images, of those with known places, on which `receptive_shift` is measured."""
LEAST_SCALE = 1.0  # Of float16's losses: it starts at 65,536 and halves with every gradient that is not finite
LOSS_CHECK_STEPS = 50  # Steps between checks of the loss: each check makes the CPU wait for the device


class NotFinite(InputError):
    """Loss or gradient is no longer finite: the learning rate is too high, or the number format's range too small."""


@dataclass(frozen=True)
class Trained:
    """The result of a run.

    Attributes:
        model: the averaged weights of the best epoch, calibrated, with tuned thresholds, in evaluation mode.
        history: DataFrame [epoch, phase, loss, val_mAP], one row per epoch; phases as in schedule.py. Epochs skipped by
            early stopping have no row.
        best_epoch: counted from 1, as in the history.
        val_probabilities: float32 [len(data.val), C] of that model.
        extra_images: number of different extra images that epochs have shown.
    """

    model: Classifier
    history: pd.DataFrame
    best_epoch: int
    val_probabilities: np.ndarray
    extra_images: int


@dataclass(frozen=True)
class Run:
    """The part of a run that does not change between its first and last step.

    Attributes:
        factors: float [len(data.train)], how often an epoch shows each real image on average.
        steps: optimiser steps per epoch on real images; extra images add steps.
        extra: see extra.py.
        targets: `data.targets` as a tensor.
    """

    params: TrainingParams
    data: TrainingData
    precision: str
    device: torch.device
    processes: Processes
    loss: MultiLabelLoss
    augment: Augmentation
    factors: np.ndarray
    steps: int
    extra: Extra
    targets: Tensor

    @property
    def finite_again(self) -> str:
        """What to do when numbers are no longer finite."""
        return fp32_or(pick_dtype(self.device, self.precision), lower_rates(section_of(self.params)))


def train(
    params: TrainingParams,
    data: TrainingData,
    compute: ComputeParams,
    *,
    cooccurrence: Cooccurrence | None = None,
    steps_per_epoch: int | None = None,
    start: Path | None = None,
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
        steps_per_epoch: optimiser steps on real images; None: as many batches as the images, repeated by their factors,
            fill.
        start: folder of a saved classifier of the same network, from whose weights training starts; None: training
            starts as `params` define it.
        resume: where the state is saved after every epoch, to continue after an interruption; see TrainingState.
        processes: the processes that train this model together. Process 0 saves the state; all continue from it.
        tell: called in process 0 after every epoch with the history so far.

    Raises:
        NotFinite: loss or gradient is no longer finite (the message names the step and its first images).
        InputError: batches do not divide into equal parts, or the processes would continue after different epochs.
    """
    if params.frozen_epochs and params.initial_weights is None and start is None:
        log.warning("frozen_epochs is %d without initial_weights: the head learns on noise", params.frozen_epochs)
    if 0 < params.epochs <= params.warmup_epochs:
        log.warning(
            "'%s.warmup_epochs' is %g of %d epochs: the learning rate only rises",
            section_of(params), params.warmup_epochs, params.epochs,
        )  # fmt: skip
    device = pick_device(compute.device)
    torch.manual_seed(params.seed)
    model = build_model(params, data, cooccurrence)
    untrained_head = {key: value.clone() for key, value in model.head.state_dict().items()}
    if start is not None:
        warm_start(model, start)
    model = model.to(device).to(memory_format=torch.channels_last)
    if data.places is not None:
        look = receptive_shift(model, data.images[np.unique(data.places.rows)[:LOOK_IMAGES]])
        data = replace(data, places=replace(data.places, look=look))
    state = TrainingState.start(model, params, pick_dtype(device, compute.precision), untrained_head)
    if compute.compile:
        model.compile()
    factors = sampling_factors(params, data.targets[data.train])
    steps = steps_per_epoch or steps_of_epoch(factors, params.batch_size)
    run = Run(
        params, data, compute.precision, device, processes,
        loss=loss_of(params, data).to(device),
        augment=Augmentation.from_params(params),
        factors=factors,
        steps=steps,
        extra=extra_images(params, data, real_order(params, data, factors, steps, 0)),
        targets=torch.from_numpy(data.targets),
    )  # fmt: skip
    if resume is not None and (saved := resume.load()) is not None:
        state.load(saved)
        log.info("continuing after epoch %d", state.epochs_done)
    stop_unless_together(state.epochs_done, "epochs", processes, device)

    for epoch in range(state.epochs_done, epochs_of(params)):
        if phase_of(params, epoch) == "all" and stops_early(state.history, params.patience):
            continue
        if epoch == params.frozen_epochs + params.epochs:
            state.start_new_head()
        loss, speed = train_epoch(run, state, epoch)
        validate(run, state, epoch, loss, speed)
        if processes.first:
            tell(pd.DataFrame(state.history))
            if resume is not None:
                resume.save(state.saved())
    return finish(run, state)


def train_epoch(run: Run, state: TrainingState, epoch: int) -> tuple[float, str]:
    """Run all steps of an epoch; return the mean loss, and a text on the speed."""
    params, model, device = run.params, state.model, run.device
    started, waited = time.perf_counter(), 0.0
    run.loss.start_epoch(share_done(params, epoch))
    model.train()
    frozen = phase_of(params, epoch) != "all"
    model.backbone.requires_grad_(not frozen)
    if frozen:
        model.backbone.eval()  # Otherwise BatchNorm statistics would change while the weights stay fixed
    # Seeds dropout, the only use of the global generator, for the images of this process
    torch.manual_seed(seed_of("epoch", params.seed, epoch) + run.processes.index)

    batches, weights = batches_of_epoch(run, epoch)
    section = section_of(params)
    part = equal_part(len(batches[0]), params.accumulate, run.processes.count, section)
    if part == 1 and epoch == 0:
        warn_of_one_image(model, section)
    share = run.processes.share(len(batches[0]))

    def read(i: int) -> tuple[Tensor, ...]:
        rows = batches[i][share]
        tensors = torch.from_numpy(run.data.images[rows]).unsqueeze(1), run.targets[rows]
        tensors = (*tensors, torch.from_numpy(weights[i][share]))
        return tuple(tensor.pin_memory() for tensor in tensors) if device.type == "cuda" else tensors

    losses, norms = torch.zeros(len(batches), device=device), torch.zeros(len(batches), device=device)
    supply = prefetched(range(len(batches)), read)
    for i in range(len(batches)):
        asked = time.perf_counter()
        images, wanted, some_weights = (tensor.to(device, non_blocking=True) for tensor in next(supply))
        waited += time.perf_counter() - asked
        set_learning_rates(state.optimizer, params, epoch - params.frozen_epochs + (i + 1) / len(batches))
        seed = seed_of("augment", params.seed, epoch, i)
        images = run.augment(images.float() / 255.0, seed, first=share.start, of=len(batches[i]))
        images = images.contiguous(memory_format=torch.channels_last)
        known = run.data.places
        places = None if known is None else known.of_batch(batches[i], share, run.augment, seed)
        losses[i], norms[i] = train_step(run, state, (images, wanted, some_weights), part, places)
        if (i + 1) % LOSS_CHECK_STEPS == 0 or i + 1 == len(batches):
            stop_unless_finite(run, losses[: i + 1], norms[: i + 1], batches, epoch)
            stop_unless_scaled(run, state, epoch, i)
    seconds = time.perf_counter() - started
    speed = f"{sum(map(len, batches)) / seconds:.0f} images/s, {100 * waited / seconds:.0f} % waiting for data"
    return float(losses.mean()), speed


def train_step(
    run: Run,
    state: TrainingState,
    batch: tuple[Tensor, Tensor, Tensor],
    part: int,
    places: PlacesOfBatch | None = None,
) -> tuple[Tensor, Tensor]:
    """One step of the optimiser on a batch that is computed in parts.

    Args:
        batch: augmented images, targets and weights.
        part: number of images computed at once.
        places: known positions of findings in the images.

    Returns:
        Loss and gradient norm, as tensors on the device, because reading them makes the host wait.
    """
    loss_sum = torch.zeros((), device=run.device)
    state.optimizer.zero_grad(set_to_none=True)
    for number, (images, wanted, weights) in enumerate(zip(*(tensor.split(part) for tensor in batch), strict=True)):
        with autocast(run.device, run.precision), naming_accumulate(part, section_of(run.params)):
            logits, maps = state.model(images)
        loss = run.loss(logits, wanted, weights)
        if places is not None:
            loss = loss + places.part(number * part, len(images)).loss(maps)
        loss = loss / run.params.accumulate
        state.scaler.scale(loss).backward()
        loss_sum += loss.detach()
    if run.processes.count > 1:
        run.processes.average([loss_sum, *gradients_and_statistics(state.model)])
    state.scaler.unscale_(state.optimizer)
    norm = clip_gradients(state.model.parameters(), CLIP_NORM)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.step += 1
    state.average.update(state.model, step=state.step)
    # The loss scaler of float16 skips steps whose scale was too large, so their norm may be infinite
    return loss_sum, torch.zeros_like(norm) if state.scaler.is_enabled() else norm


def validate(run: Run, state: TrainingState, epoch: int, loss: float, speed: str) -> None:
    """Score the averaged weights on the validation images, keep them if they are the best, and record the epoch."""
    started, params = time.perf_counter(), run.params
    phase, epochs = phase_of(params, epoch), epochs_of(params)
    probabilities = predict_together(
        state.average.module, run.data, run.processes,
        batch_size=params.batch_size, precision=run.precision, section=section_of(params),
    )  # fmt: skip
    val_map = mean_average_precision(run.data.targets[run.data.val], probabilities)
    state.history.append({"epoch": epoch + 1, "phase": phase, "loss": loss, "val_mAP": val_map})
    if not val_map <= state.best["mAP"]:  # written so that without any validation positive (NaN) the last epoch wins
        weights = {key: value.cpu().clone() for key, value in state.average.module.state_dict().items()}
        state.best = {"mAP": val_map, "epoch": epoch + 1, "weights": weights}
    state.epochs_done = epoch + 1
    log.info(
        "epoch %d/%d (%s): loss %.4f, val mAP %.4f (best %.4f at %d), %s, lr %.2e, validated in %.1f s",
        *(epoch + 1, epochs, phase, loss, val_map, state.best["mAP"], state.best["epoch"], speed),
        *(state.optimizer.param_groups[-1]["lr"], time.perf_counter() - started),
    )
    if phase == "all" and stops_early(state.history, params.patience):
        log.info("no better val mAP in %s epochs: all parameters have been trained", params.patience)


def finish(run: Run, state: TrainingState) -> Trained:
    """Load the averaged weights of the best epoch, then fit calibration and thresholds on validation images."""
    model: Classifier = state.average.module
    model.load_state_dict(state.best["weights"])
    data, params = run.data, run.params

    def probabilities_of(model: Classifier) -> np.ndarray:
        batch, section = params.batch_size, section_of(params)
        return predict_together(model, data, run.processes, batch_size=batch, precision="fp32", section=section)

    if untuned := [name for name, y in zip(data.class_names, data.targets[data.val].T, strict=True) if not has_both(y)]:
        log.warning(
            "no validation image has, or none lacks, %s: not calibrated there, and the threshold is 0.5",
            some_of(untuned),
        )  # fmt: skip
    weights = prevalence_weights(data.targets[data.val], np.nanmean(data.targets[data.train], axis=0).tolist())
    scalings = fit_scalings(data.targets[data.val], probabilities_of(model), weights)
    model.calibrate(dict(zip(data.class_names, scalings, strict=True)))
    probabilities = probabilities_of(model)
    thresholds = tune_thresholds(data.targets[data.val], probabilities)
    model.thresholds = dict(zip(data.class_names, thresholds.tolist(), strict=True))
    history = pd.DataFrame(state.history)
    if params.retrain_head_epochs and state.best["epoch"] <= params.frozen_epochs + params.epochs:
        log.warning("the retrained head is not kept: epoch %d is better on validation images", state.best["epoch"])
    shown = run.extra.shown(params, (history["epoch"] - 1).tolist())
    return Trained(model, history, state.best["epoch"], probabilities, shown)


def batches_of_epoch(run: Run, epoch: int) -> tuple[list[np.ndarray], ...]:
    """Rows and loss weights of every batch of an epoch, for all processes together."""
    params = run.params
    order = real_order(params, run.data, run.factors, run.steps, epoch)
    extra = run.extra.of_epoch(params.seed, epoch)
    rows, weights = with_extra(order, extra, extra_weight(params, epoch), params.seed, epoch)
    steps, parts = run.steps + (len(rows) - len(order)) // params.batch_size, params.accumulate * run.processes.count
    return tuple(fixed_batches(of_rows, params.batch_size, steps, parts) for of_rows in (rows, weights))


def real_order(params: TrainingParams, data: TrainingData, factors: np.ndarray, steps: int, epoch: int) -> np.ndarray:
    """The rows of the real images of an epoch, in random order: enough for `steps` batches, but for the last batch."""
    count = steps * params.batch_size
    if phase_of(params, epoch) == "retrain" or params.sampler == "class_aware":
        return class_aware_order(data.train, data.targets[data.train], count, params.seed, epoch)
    order = epoch_order(data.train, factors, params.seed, epoch)
    # With a given number of steps an epoch is not one pass; extra images come on top of what it shows of the real ones
    return order if abs(len(order) - count) < params.batch_size else np.resize(order, count)


def fixed_batches(order: np.ndarray, batch_size: int, steps: int, parts: int) -> list[np.ndarray]:
    """`steps` batches of equal size. Surplus rows are dropped (the next epoch has a new order); missing ones repeat.

    An epoch smaller than one batch becomes one batch, of as many rows as divide into equal `parts`: two epochs may
    differ by a row.
    """
    size = batch_size if len(order) >= batch_size else (len(order) - len(order) % parts or len(order))
    return np.split(np.resize(order, steps * size), steps)


def stop_unless_finite(run: Run, losses: Tensor, norms: Tensor, batches: list[np.ndarray], epoch: int) -> None:
    """Stop at the first step of an epoch whose loss or gradient norm (both [steps so far]) is not finite."""
    bad = (~(losses.isfinite() & norms.isfinite())).nonzero().flatten().tolist()
    if bad:
        loss = losses[bad[0]].item()
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient's norm is {norms[bad[0]].item()}"
        images = some_of([run.data.names[row] for row in batches[bad[0]]])
        raise NotFinite(
            f"epoch {epoch + 1}, step {bad[0] + 1}: {what}; {run.finite_again}; images of the batch: {images}"
        )


def stop_unless_scaled(run: Run, state: TrainingState, epoch: int, step: int) -> None:
    """Stop if the loss scaler of float16 has skipped so many steps that no scale helps: the weights would stay as they
    are."""
    if state.scaler.is_enabled() and state.scaler.get_scale() < LEAST_SCALE:
        raise NotFinite(
            f"epoch {epoch + 1}, step {step + 1}: the gradient is not finite at any scale; {run.finite_again}"
        )
