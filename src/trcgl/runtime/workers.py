"""A pool of processes for work on pixels."""

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

    Fresh, because a process forked after a library started threads can wait for them forever.

    Raises:
        InputError: a process was killed.
    """
    context = multiprocessing.get_context("forkserver")
    try:
        with ProcessPoolExecutor(count, mp_context=context, initializer=_start) as pool:
            yield pool
    except BrokenProcessPool:
        raise InputError(
            f"one of {count} processes that work on pixels was killed, most likely for want of memory; lower "
            "'compute.workers' and run again"
        ) from None


def _start() -> None:
    cv2.setNumThreads(1)
    # Ctrl-C reaches every process of the terminal; the one that waits for these answers it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
