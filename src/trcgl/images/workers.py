"""A pool of processes for work on pixels."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import cv2


def pixel_workers(count: int) -> ProcessPoolExecutor:
    """`count` fresh processes with one OpenCV thread each.

    Fresh, because a process forked after a library started threads can wait for them forever.
    """
    context = multiprocessing.get_context("forkserver")
    return ProcessPoolExecutor(count, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,))
