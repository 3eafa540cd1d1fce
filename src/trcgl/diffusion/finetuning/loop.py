"""One training loop for the autoencoder, the base U-Net and the prompt fine-tuning: steps, not epochs, and resumable.

A step depends on (seed, phase, step) alone, so a killed run that starts again from its last kept state ends in the
same bits as one that was never killed. Several processes share every batch and average its gradients: weights stay the
same everywhere.
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
"""Rows a phase leaves in the loss curve: enough for a picture, few enough for git."""
KEEP_EVERY_SECONDS = 30.0
"""A state is kept at the first row of the curve after this time: writing an optimiser often would cost more than a
step."""


def train(phase: Phase[Batch], journal: Journal, processes: Processes = ALONE) -> None:
    """Train the modules of a phase in place.

    Args:
        journal: where it continues from, and what its rows of the loss curve go to.
        processes: who else trains these modules, from the same state on.

    Raises:
        InputError: the batch does not divide among the processes, these would continue after different steps, or a
            loss or gradient is not finite. What is kept is of an earlier step.
        Stopped: asked to stop by a signal, after the running step (several processes: at the next row of the curve,
            together); the state is kept.
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
            # Several leave together, or one would wait for the others; looking at every step would make the hosts wait
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
                if not asked_to_stop():  # It was another process; of this one the signal is still to come
                    raise Stopped(signal.SIGTERM)
                return
        journal.finish(phase.name, state.finish())


def _start_or_continue(phase: Phase[Batch], journal: Journal, processes: Processes) -> TrainingState | None:
    """The state that the loop begins with; None if the phase was finished before: its modules are as it left them."""
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
