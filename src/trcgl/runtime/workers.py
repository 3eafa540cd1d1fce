"""A pool of worker processes for image processing."""

import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import cv2

from trcgl.runtime.errors import InputError


@contextmanager
def pixel_workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """`count` fresh processes with one OpenCV thread each.

    They come from a fork server: a process forked after a library has started threads may wait for them forever.

    Raises:
        InputError: a process was killed.
    """
    context = multiprocessing.get_context("forkserver")
    try:
        with ProcessPoolExecutor(count, mp_context=context, initializer=_start) as pool:
            yield pool
    except BrokenProcessPool:
        raise InputError(
            f"one of {count} worker processes was killed, most likely because memory ran out; lower "
            "'compute.workers' and run again"
        ) from None


def _start() -> None:
    cv2.setNumThreads(1)
    # Ctrl-C reaches every process of the terminal; here only the parent process handles it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
