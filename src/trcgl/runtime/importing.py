"""Import large libraries without garbage collection."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collections() -> Iterator[None]:
    """Disable garbage collection within the block, which imports libraries, and exclude their objects from it later.

    Torch and the libraries that it loads create half a million permanent objects. Searching them for cycles again and
    again takes a quarter of the start-up time, and another second at exit.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
