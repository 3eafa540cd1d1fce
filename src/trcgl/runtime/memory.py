"""Out of memory: the message names a parameter to lower instead of only quoting the allocator's report."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trcgl.runtime.errors import InputError

SIGNS = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
"""How the CPU's allocator, CUDA, cuDNN and cuBLAS report it in a plain RuntimeError."""


@contextmanager
def naming_the_knob(knob: str | None) -> Iterator[None]:
    """Report in one line if the block runs out of memory.

    Args:
        knob: the parameter to lower, such as "'classifier.batch_size'"; None: no parameter makes the block smaller.

    Raises:
        InputError: the processor or the accelerator ran out of memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        ran_out = isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in str(error) for sign in SIGNS)
        if not ran_out:
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        remedy = f"lower {knob}" if knob else "use a device with more memory, or end what else runs on it"
        raise InputError(f"out of memory; {remedy} ({reason})") from None
