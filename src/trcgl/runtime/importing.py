"""Heavy libraries, imported without a search for garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collections() -> Iterator[None]:
    """Within the block, which imports, no garbage is looked for; what it has made is kept.

    Torch and what it loads make half a million objects that stay. To go through them again and again for cycles is a
    quarter of the start, and once more at the exit a second.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
