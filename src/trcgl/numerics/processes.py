"""Several processes of one script, started by `accelerate launch` or `torchrun`, or just one."""

import os
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
"""How long processes wait for each other. A resumed run may lag behind by more than the libraries' ten minutes."""


@dataclass(frozen=True)
class Processes:
    """The index of this process within a launch, and the collective operations. The default is a single process.

    Every process must make the same calls in the same order with tensors of the same shapes.

    Attributes:
        index: of this process, from 0; process 0 writes.
        count: number of processes.
    """

    index: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is process 0."""
        return self.index == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace the tensors, all of one dtype, by their means over the processes; all get the same bits."""
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
        """The slice of `items` items that this process handles; `items` is a multiple of `count`."""
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
            f"the processes would continue after different {unit} ({places.tolist()}); let them share the project "
            "folder, or start them all without .resume"
        )


def is_first_process() -> bool:
    """Whether this process is the first of its launch, also before it is connected to the others."""
    return int(os.environ.get("RANK", "0")) == 0


def join_processes(device: torch.device) -> PartialState:
    """Connect to the other processes of this launch (NCCL on GPUs, gloo on CPUs); without a launcher there are none.

    Call this function before any tensor is put on `device`: afterwards "cuda" means the process's own GPU. Set the
    number of threads after the call. On CPUs, start with `torchrun` or `accelerate launch --multi_gpu`;
    `accelerate launch --cpu` starts several processes only through MPI.

    Raises:
        InputError: the device is one GPU by its number, which several processes cannot share.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if device.index is not None and count > 1:
        raise InputError(
            f"'compute.device' is '{device}', but {count} processes were started, one for each GPU; set it to auto"
        )
    return PartialState(cpu=device.type == "cpu", timeout=PATIENCE)


@contextmanager
def training_together(device: torch.device) -> Iterator[Processes]:
    """Connect to the other processes of this launch (see `join_processes`) for common work; only process 0 logs.

    If one process fails, the others wait until the launcher ends them.
    """
    state = join_processes(device)
    processes = Processes(state.process_index, state.num_processes)
    if not processes.first:
        silence()
    yield processes
    state.destroy_process_group()
