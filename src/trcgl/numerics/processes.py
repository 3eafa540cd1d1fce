"""Several processes of one script, started by `accelerate launch` or `torchrun`, or just one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from accelerate import PartialState
from torch import Tensor, distributed

from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import silence

PATIENCE = timedelta(hours=12)
"""Processes wait for each other that long; the libraries' ten minutes are less than a continued run may lag behind."""


@dataclass(frozen=True)
class Processes:
    """The place of this process among those of a launch, and what they do together; alone unless told otherwise.

    Every process must make the same calls in the same order with tensors of the same shapes.

    Attributes:
        index: of this process, from 0; process 0 writes.
        count: how many there are.
    """

    index: int = 0
    count: int = 1

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace the tensors, all of one type, by their means over the processes: in one message, and in the same bits
        everywhere."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        parts = (flat / self.count).split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def add(self, tensor: Tensor) -> None:
        """Replace the tensor by its sum over the processes."""
        if self.count > 1:
            distributed.all_reduce(tensor)

    def share(self, items: int) -> slice:
        """The part of `items` things, a multiple of `count`, that is this process's."""
        part = items // self.count
        return slice(self.index * part, (self.index + 1) * part)


ALONE = Processes()


def stop_unless_together(done: int, unit: str, processes: Processes, device: torch.device) -> None:
    """Raise an InputError unless every process continues after the same number of `unit` (epochs, steps)."""
    places = torch.zeros(processes.count, dtype=torch.int64, device=device)
    places[processes.index] = done
    processes.add(places)
    if (places != done).any():
        raise InputError(
            f"the processes would continue after different {unit} ({places.tolist()}); they must share the "
            "project folder, or all start without .resume"
        )


def join_processes(device: torch.device) -> PartialState:
    """Meet the other processes of this launch (NCCL on GPUs, gloo on CPUs); without a launcher there are none.

    Call it before anything is put on `device`: a device "cuda" then means the process's own GPU. Set the number of
    threads after it. On CPUs start with `torchrun` or `accelerate launch --multi_gpu`; `accelerate launch --cpu` starts
    several processes through MPI only.
    """
    return PartialState(cpu=device.type == "cpu", timeout=PATIENCE)


@contextmanager
def training_together(device: torch.device) -> Iterator[Processes]:
    """Meet the other processes of this launch (see `join_processes`) for work that all do alike; the first one prints.

    One that fails leaves the others waiting: the launcher ends them.
    """
    state = join_processes(device)
    processes = Processes(state.process_index, state.num_processes)
    if processes.index > 0:
        silence()
    yield processes
    state.destroy_process_group()
