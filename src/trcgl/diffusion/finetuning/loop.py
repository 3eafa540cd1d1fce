"""One resumable training loop for the autoencoder, the base U-Net and the fine-tuning. It counts steps, not epochs.

The random numbers of a step depend on (seed, phase, step) alone. So a killed run that continues from its last kept
state gives bit-identical results to a run that was never killed. Several processes share every batch and average its
gradients, so their weights stay equal.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from trcgl.diffusion.finetuning.journal import Journal
from trcgl.diffusion.finetuning.meter import Meter
from trcgl.diffusion.finetuning.phase import Batch, Phase
from trcgl.diffusion.finetuning.seeded import seeded_generator
from trcgl.diffusion.finetuning.state import TrainingState, put_back, trainable
from trcgl.numerics.gradients import clip_gradients
from trcgl.numerics.processes import ALONE, Processes, stop_unless_together
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger, progress
from trcgl.runtime.stopping import Stopped, whole_steps

log = get_logger("diffusion")

CURVE_ROWS = 60
"""Rows of a phase in the loss curve: enough for a figure, few enough for git."""
KEEP_EVERY_SECONDS = 30.0
"""The state is kept at the first row of the curve after this time. Writing the optimiser's state takes longer than a
step, so it is not written often."""


def train(phase: Phase[Batch], journal: Journal, processes: Processes = ALONE) -> None:
    """Train the modules of a phase in place.

    Args:
        journal: holds the state to continue from, and gets the rows of the loss curve.
        processes: the processes that train these modules together, starting from the same state.

    Raises:
        InputError: the batch cannot be divided equally among the processes, the processes would continue after
            different steps, or a loss or gradient is not finite. The kept state is then from an earlier step.
        Stopped: a signal asked the run to stop. One process stops after the running step; several stop together at the
            next row of the curve. The state is kept.
    """
    state = _start_or_continue(phase, journal, processes)
    if state is None:
        return
    steps = phase.schedule.steps
    row_every = max(1, math.ceil(steps / CURVE_ROWS))
    meter = Meter(phase.name, steps, phase.batch_size, phase.epoch_images)
    kept_at = time.monotonic()
    with whole_steps() as asked_to_stop:
        for step in _steps(phase.name, state.step, steps):
            started = time.monotonic()
            batch = phase.batch_of(step)
            waited = time.monotonic() - started
            anyone_asked = _take_step(phase, state, batch, processes, asked_to_stop)
            meter.add(time.monotonic() - started, waited)
            last = state.step == steps
            row = state.step % row_every == 0 or last
            # Several processes must stop together, or one would wait for the others. They check at curve rows only,
            # because reading `anyone_asked` at every step would make the CPU wait for the device
            leave = not last and (asked_to_stop() if processes.count == 1 else row and bool(anyone_asked))
            if row or leave:
                state.stop_unless_finite(phase)
            if row:
                loss = state.mean_loss()
                journal.record(phase.name, state.step, loss)
                meter.report(state.step, loss)
            if leave or (row and not last and time.monotonic() - kept_at > KEEP_EVERY_SECONDS):
                journal.keep(phase.name, state.saved())
                kept_at = time.monotonic()
            if leave:
                log.info("%s: asked to stop after step %d of %d", phase.name, state.step, steps)
                if not asked_to_stop():  # Another process got the signal; this one has not got it yet
                    raise Stopped(signal.SIGTERM)
                return
        journal.finish(phase.name, state.finish())


def _start_or_continue(phase: Phase[Batch], journal: Journal, processes: Processes) -> TrainingState | None:
    """The state that the loop begins with; None if the phase is already finished (its weights are then put back)."""
    if phase.batch_size % processes.count:
        raise InputError(
            f"'{phase.batch_key}' is {phase.batch_size}, which does not divide into equal parts for {processes.count} "
            f"processes; make it a multiple of {processes.count}"
        )
    weights = trainable(phase.modules)
    finished, running = journal.finished.get(phase.name), journal.running_of(phase.name)
    done = phase.schedule.steps if finished is not None else running["step"] if running else 0
    device = next(iter(weights.values())).device
    stop_unless_together(done, f"steps of phase '{phase.name}'", processes, device)
    if finished is not None:
        put_back(weights, finished)
        log.info("%s: already finished, taken from the kept state", phase.name)
        return None
    state = TrainingState(phase, weights)
    if running:
        state.restore(running)
        log.info("%s: continues at step %d of %d", phase.name, state.step, phase.schedule.steps)
    return state


def _take_step(
    phase: Phase[Batch],
    state: TrainingState,
    batch: Batch,
    processes: Processes,
    asked_to_stop: Callable[[], bool],
) -> Tensor:
    """One update of the weights.

    Returns:
        Above 0 if any of the processes was asked to stop; on the device.
    """
    state.set_learning_rates(phase.schedule.factor(state.step))
    with torch.autocast(state.device.type, dtype=phase.dtype, enabled=phase.dtype != torch.float32):
        loss = phase.loss_of(batch, seeded_generator(phase.seed, phase.name, "noise", state.step))
    state.optimizer.zero_grad(set_to_none=True)
    state.scaler.scale(loss).backward()
    loss = loss.detach()
    anyone_asked = torch.tensor(float(asked_to_stop()), device=loss.device)
    processes.average([loss, anyone_asked, *(weight.grad for weight in state.flat if weight.grad is not None)])
    state.scaler.unscale_(state.optimizer)
    norm = clip_gradients(state.flat, phase.clip_norm)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    if state.average:
        state.average.step(state.flat)
    state.add(loss, norm)
    return anyone_asked


def _steps(phase: str, first: int, steps: int) -> Iterator[int]:
    with progress(range(first, steps), total=steps - first, what=phase) as bar:
        yield from bar
