"""How the tests run side by side: one thread per process, and the files with long tests first."""

import os

import pytest

# Before any library is imported, here and in what the tests start. A test that is about threads sets its own number.
# PASSIVE: a thread that waits actively would take the core of the other process.
os.environ |= {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """So that no process has a long file left when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
