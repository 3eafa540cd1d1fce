"""Several processes of one script, started by `accelerate launch` or `torchrun`, or just one."""

from datetime import timedelta

import torch
from accelerate import PartialState

PATIENCE = timedelta(hours=12)
"""Processes wait for each other that long; the libraries' ten minutes are less than a continued run may lag behind."""


def join_processes(device: torch.device) -> PartialState:
    """Meet the other processes of this launch (NCCL on GPUs, gloo on CPUs); without a launcher there are none.

    Call it before anything is put on `device`: a device "cuda" then means the process's own GPU. Set the number of
    threads after it. On CPUs start with `torchrun` or `accelerate launch --multi_gpu`; `accelerate launch --cpu` starts
    several processes through MPI only.
    """
    return PartialState(cpu=device.type == "cpu", timeout=PATIENCE)
