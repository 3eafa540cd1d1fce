"""One training loop for the autoencoder, the base U-Net and the prompt fine-tuning: steps, not epochs, and resumable.

A step depends on (seed, phase, step) alone, so a killed run that starts again from its last kept state ends in the
same bits as one that was never killed. Several processes share every batch and average its gradients: weights stay the
same everywhere.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd
import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from trcgl.numerics.gradients import clip_gradients
from trcgl.numerics.processes import ALONE, Processes, stop_unless_together
from trcgl.numerics.seeding import Part, seed_of
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger, progress
from trcgl.runtime.stopping import Stopped, whole_steps

Batch = TypeVar("Batch")
log = get_logger("diffusion")

CURVE_ROWS = 60
"""Rows a phase leaves in the loss curve: enough for a picture, few enough for git."""
KEEP_EVERY_SECONDS = 30.0
"""A state is kept at the first flush after this time: writing an optimiser often would cost more than a step."""


def generator(*parts: Part) -> torch.Generator:
    """A CPU generator seeded by `seed_of(*parts)`: the same numbers whatever the device of the model."""
    return torch.Generator().manual_seed(seed_of(*parts))


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then a cosine down to zero; `lr` of each parameter group is its peak."""

    steps: int
    warmup: int

    def factor(self, step: int) -> float:
        """Fraction of the peak learning rate at `step` (from 0)."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        return 0.5 * (1 + math.cos(math.pi * (step - self.warmup) / max(1, self.steps - self.warmup)))


class Journal:
    """What the stage has done so far, kept in a ResumePoint.

    Saved: trainable weights of each finished phase and of the running one, its optimiser, gradient scaler and weight
    average, the next step, the loss curve and the losses that are not in it yet. Not saved: generators (derived from
    the step), latents and text embeddings (computed anew).
    """

    def __init__(
        self,
        resume: ResumePoint | None = None,
        *,
        writes: bool = True,
        tell: Callable[[pd.DataFrame], None] = lambda curve: None,
    ):
        """Start, or go on from what `resume` has.

        Args:
            writes: False in all but one of several processes, which all continue from the same state.
            tell: is given the curve so far with each of its rows, where `writes` is True.
        """
        self._resume, self._writes, self._tell = resume, writes, tell
        state = resume.load() if resume else None
        self.finished: dict[str, dict[str, Tensor]] = state["finished"] if state else {}
        self.running: dict[str, Any] | None = state["running"] if state else None
        self._curve: list[list[Any]] = state["curve"] if state else []

    def record(self, phase: str, step: int, loss: float) -> None:
        self._curve.append([phase, step, loss])
        if self._writes:
            self._tell(self.curve())

    def keep(self, running: dict[str, Any] | None) -> None:
        """Replace the kept state; `running` is None between phases."""
        self.running = running
        if self._resume and self._writes:
            self._resume.save({"finished": self.finished, "running": running, "curve": self._curve})

    def curve(self) -> pd.DataFrame:
        """The loss curve [phase, step, loss], each row a mean over the steps since the row before."""
        return pd.DataFrame(self._curve, columns=pd.Index(["phase", "step", "loss"]))


def trainable(modules: Sequence[nn.Module]) -> dict[str, nn.Parameter]:
    """Parameters that get gradients, by a name that is unique over `modules`."""
    return {
        f"{i}.{name}": parameter
        for i, module in enumerate(modules)
        for name, parameter in module.named_parameters()
        if parameter.requires_grad and parameter.numel()
    }


def _restore(parameters: dict[str, nn.Parameter], weights: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])


def restore_average(average: EMAModel, state: dict[str, Any], device: torch.device) -> None:
    """Load the kept state, whose tensors lie in the CPU's memory: an optimiser moves them, the average does not."""
    average.load_state_dict(state)
    average.to(device=device)


def train(
    phase: str,
    modules: Sequence[nn.Module],
    groups: list[dict[str, Any]],
    batch_of: Callable[[int], Batch],
    loss_of: Callable[[Batch, torch.Generator], Tensor],
    *,
    seed: int,
    schedule: Schedule,
    clip_norm: float,
    journal: Journal,
    images_of: Callable[[int], Sequence[str]],
    batch_size: int,
    epoch_images: int,
    dtype: torch.dtype = torch.float32,
    ema_decay: float = 0.0,
    processes: Processes = ALONE,
) -> None:
    """Train `modules` in place.

    Args:
        phase: name in logs, curve and journal.
        groups: AdamW parameter groups; each `lr` is a peak that `schedule` scales.
        batch_of: step -> batch; its time is reported as data wait.
        loss_of: batch and the step's generator -> scalar loss, a mean over this process's share of the batch.
        images_of: step -> names of its images, for the message when a step goes wrong.
        batch_size: images of a step, for the log.
        epoch_images: images between two log lines.
        dtype: of matrix products and convolutions in the loss (see runtime.device.pick_dtype); weights keep their own.
        ema_decay: above 0, the modules end with the exponential moving average of their weights over the steps.
        processes: who else trains these modules, from the same state on.

    Raises:
        InputError: the batch does not divide among the processes, these would continue after different steps, or a
            loss or gradient is not finite; the message names phase, step and images. What is kept is of an earlier
            step.
        Stopped: asked to stop by a signal, after the running step (several processes: at the next row of the curve,
            together); the state is kept.
    """
    if batch_size % processes.count:
        raise InputError(
            f"diffusion: phase '{phase}': a batch of {batch_size} images does not divide into equal parts for "
            f"{processes.count} processes; make its batch size a multiple of {processes.count}"
        )
    parameters = trainable(modules)
    flat = list(parameters.values())
    running = journal.running if journal.running and journal.running["phase"] == phase else None
    done = schedule.steps if phase in journal.finished else running["step"] if running else 0
    stop_unless_together(done, f"steps of phase '{phase}'", processes, flat[0].device)
    if phase in journal.finished:
        _restore(parameters, journal.finished[phase])
        log.info("%s: already finished, taken from the kept state", phase)
        return
    device = flat[0].device.type
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), fused=device in ("cpu", "cuda"))
    peaks = [group["lr"] for group in optimizer.param_groups]
    scaler = torch.amp.GradScaler(device, enabled=dtype == torch.float16)
    average = EMAModel(flat, decay=ema_decay, foreach=True) if ema_decay else None
    first, losses = 0, []
    if running:
        _restore(parameters, running["weights"])
        optimizer.load_state_dict(running["optimizer"])
        scaler.load_state_dict(running["scaler"])
        if average:
            restore_average(average, running["average"], flat[0].device)
        first, losses = running["step"], list(running["losses"].to(device).unbind())
        log.info("%s: continues at step %d of %d", phase, first, schedule.steps)
    flush_every = max(1, math.ceil(schedule.steps / CURVE_ROWS))
    norms: list[Tensor] = []
    meter = _Meter(phase, schedule.steps, batch_size, epoch_images)
    kept_at = time.monotonic()
    with whole_steps() as asked_to_stop:
        for step in _steps(phase, first, schedule.steps):
            started = time.monotonic()
            batch = batch_of(step)
            waited = time.monotonic() - started
            factor = schedule.factor(step)
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            with torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32):
                loss = loss_of(batch, generator(seed, phase, "noise", step))
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            loss = loss.detach()
            asked_by = torch.tensor(float(asked_to_stop()), device=loss.device)
            processes.average([loss, asked_by, *(weight.grad for weight in flat if weight.grad is not None)])
            scaler.unscale_(optimizer)
            norm = clip_gradients(flat, clip_norm)
            scaler.step(optimizer)
            scaler.update()
            if average:
                average.step(flat)
            # Kept on the device: reading a number at every step would make the host wait for it
            losses.append(loss)
            # The scaler of float16 tries scales that are too large, and skips these steps
            norms.append(loss if scaler.is_enabled() else norm)
            meter.add(time.monotonic() - started, waited)
            last = step + 1 == schedule.steps
            flush = (step + 1) % flush_every == 0 or last
            # Several leave together, or one would wait for the others; looking at every step would make the hosts wait
            leave = not last and (asked_to_stop() if processes.count == 1 else flush and bool(asked_by))
            if flush or leave:
                _stop_unless_finite(phase, losses[-len(norms) :], norms, step, images_of)
                norms = []
            if flush:
                mean = round(float(torch.stack(losses).float().cpu().mean()), 6)
                losses = []
                journal.record(phase, step + 1, mean)
                meter.report(step + 1, mean)
            if leave or (flush and not last and time.monotonic() - kept_at > KEEP_EVERY_SECONDS):
                journal.keep(_state(phase, step + 1, parameters, optimizer, scaler, average, losses))
                kept_at = time.monotonic()
            if leave:
                log.info("%s: asked to stop after step %d of %d", phase, step + 1, schedule.steps)
                if not asked_to_stop():  # It was another process; of this one the signal is still to come
                    raise Stopped(signal.SIGTERM)
                return
        if average:
            average.copy_to(flat)
        journal.finished[phase] = _weights(parameters)
        journal.keep(None)


def _steps(phase: str, first: int, steps: int) -> Iterator[int]:
    with progress(range(first, steps), total=steps - first, what=phase) as bar:
        yield from bar


def _weights(parameters: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    return {name: parameter.detach().cpu().clone() for name, parameter in parameters.items()}


def _state(
    phase: str,
    step: int,
    parameters: dict[str, nn.Parameter],
    optimizer: Any,
    scaler: Any,
    average: EMAModel | None,
    losses: list[Tensor],
) -> dict[str, Any]:
    return {
        "phase": phase,
        "step": step,
        "weights": _weights(parameters),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict(),
        "average": average.state_dict() if average else None,
        "losses": torch.stack(losses) if losses else torch.empty(0),
    }


def _stop_unless_finite(
    phase: str, losses: list[Tensor], norms: list[Tensor], last_step: int, images_of: Callable[[int], Sequence[str]]
) -> None:
    """Look at the losses and gradient norms of the steps that end with `last_step`."""
    values = torch.stack([torch.stack(losses).float(), torch.stack(norms).float()]).cpu()
    bad = (~values.isfinite()).any(dim=0).nonzero().flatten().tolist()
    if bad:
        step = last_step + 1 - len(losses) + bad[0]
        loss = float(values[0, bad[0]])
        what = f"its gradient's norm is {float(values[1, bad[0]])}" if math.isfinite(loss) else f"its loss is {loss}"
        raise InputError(
            f"diffusion: step {step} of phase '{phase}' went wrong: {what}; lower the phase's learning rate or set a "
            f"smaller diffusion.clip_norm; images of the step: {', '.join(images_of(step))}"
        )


class _Meter:
    """One log line an epoch-equivalent: loss, images a second, and the share of time spent waiting for data."""

    def __init__(self, phase: str, steps: int, batch_size: int, epoch_images: int):
        self.phase, self.steps, self.batch_size, self.epoch_images = phase, steps, batch_size, epoch_images
        self._clear()

    def _clear(self) -> None:
        self.images, self.seconds, self.waited = 0, 0.0, 0.0

    def add(self, seconds: float, waited: float) -> None:
        self.images += self.batch_size
        self.seconds += seconds
        self.waited += waited

    def report(self, step: int, loss: float) -> None:
        if self.images < self.epoch_images and step < self.steps:
            return
        log.info(
            "%s: step %d/%d, loss %.4f, %.0f images/s, data wait %.0f %%",
            self.phase, step, self.steps, loss, self.images / self.seconds, 100 * self.waited / self.seconds,
        )  # fmt: skip
        self._clear()
