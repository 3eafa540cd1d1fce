"""Which device a run computes on, with how many threads, and in which precision."""

import os

import torch
from threadpoolctl import threadpool_limits

from trcgl.runtime.errors import InputError


def pick_device(name: str, key: str = "'compute.device'") -> torch.device:
    """A torch device by its name; `auto` is the first CUDA device, else the CPU.

    From then on, float32 is computed as float32: a GPU's convolutions would otherwise round their inputs to TF32, so
    that scores and thresholds would differ from those of a CPU or of ONNX.

    Args:
        key: the setting that has this name, for the message.

    Raises:
        InputError: this machine does not have the device.
    """
    torch.backends.cudnn.allow_tf32 = False
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type == "cuda":
            # A tensor there would leave memory of every process of a launch on the first GPU
            there = torch.cuda.device_count()
            if (device.index or 0) >= there:
                raise RuntimeError(f"GPUs found: {there}")
        else:
            torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{key} is '{name}', which cannot be used here ({reason}); use auto, cpu or cuda") from None
    return device


def use_threads(count: int) -> None:
    """Set torch and the linear algebra of NumPy to `count` threads each, regardless of environment variables.

    Sums are split among threads, so their number is part of the result.

    Raises:
        InputError: an environment variable lets OpenMP start fewer threads. Some libraries then wait for the others for
            ever.
    """
    limit = os.environ.get("OMP_THREAD_LIMIT", "")
    for name, bad in (
        ("OMP_DYNAMIC", os.environ.get("OMP_DYNAMIC", "").strip().lower() == "true"),
        ("OMP_THREAD_LIMIT", limit.strip().isdecimal() and int(limit) < count),
    ):
        if bad:
            raise InputError(
                f"the environment variable {name} is {os.environ[name]}, so that OpenMP may start fewer threads than "
                f"'compute.threads' ({count}), and others wait for ever; unset it"
            )
    threadpool_limits(count)
    torch.set_num_threads(count)


def pick_dtype(device: torch.device, precision: str) -> torch.dtype:
    """`compute.precision` as the type that matrix products and convolutions are computed in.

    `auto` is bfloat16 where the device has instructions for it (1.8 times the images/s on a processor), else float32.

    Raises:
        InputError: float16 on a processor, where it is no faster.
    """
    if precision == "auto":
        precision = "bf16" if _has_bfloat16(device) else "fp32"
    if precision == "fp16" and device.type == "cpu":
        raise InputError("'compute.precision' is fp16, which is for CUDA only; on a processor use auto, bf16 or fp32")
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def computed_in(device: torch.device, precision: str) -> str:
    """Where and in which type a run computes, such as "cuda bfloat16": what `auto` means here, for resumable states."""
    return f"{device.type} {name_of(pick_dtype(device, precision))}"


def fp32_or(dtype: torch.dtype, otherwise: str) -> str:
    """The remedy for values that are not finite: float32 or `otherwise`; only `otherwise` if `dtype` is float32."""
    return otherwise if dtype == torch.float32 else f"set 'compute.precision' to fp32, or {otherwise}"


def name_of(dtype: torch.dtype) -> str:
    """The name of a dtype for messages, such as float32."""
    return str(dtype).removeprefix("torch.")


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Mixed precision in `pick_dtype`; weights, losses and optimiser stay float32."""
    dtype = pick_dtype(device, precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)
