"""torch.compile: a missing compiler is reported in one line instead of by its log."""

from collections.abc import Iterator
from contextlib import contextmanager

from trcgl.runtime.errors import InputError

COMPILERS = ("torch._dynamo", "torch._inductor")
"""Modules whose exceptions mean that a network could not be compiled; importing them takes seconds."""


@contextmanager
def naming_the_compiler() -> Iterator[None]:
    """Report a failure to compile within the block in one line.

    Raises:
        InputError: torch.compile could not compile.
    """
    try:
        yield
    except RuntimeError as error:
        if not type(error).__module__.startswith(COMPILERS):
            raise
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:120]
        raise InputError(f"'compute.compile': torch cannot compile here; set it to false ({reason})") from None
