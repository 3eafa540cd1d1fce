"""Which device a run computes on, and in which precision."""

import torch

from trcgl.runtime.errors import InputError


def pick_device(name: str) -> torch.device:
    """`auto` is the first CUDA device, else the CPU; anything else is a torch device name that must be usable."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"compute.device '{name}' cannot be used here ({reason}); use auto, cpu or cuda") from None
    return device


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Mixed precision on CUDA; the CPU always computes in float32, so that its results repeat bit by bit."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype, enabled=device.type == "cuda" and precision != "fp32")
