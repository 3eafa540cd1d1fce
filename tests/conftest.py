"""How the tests run side by side: one thread per process, and the files with long tests first."""

import os

import pytest

# Before any library is imported, here and in processes that the tests start. Tests of threads set their own number.
# PASSIVE: an actively waiting thread would take the other process's core.
os.environ |= {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first, so that no process still has a long file when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
