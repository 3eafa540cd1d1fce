"""How the tests run side by side: one thread per process, and the files with long tests first."""

import logging
import os
from collections.abc import Iterator

import pytest

# Before any library is imported, here and in processes that the tests start. Tests of threads set their own number.
# PASSIVE: an actively waiting thread would take the other process's core.
os.environ |= {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "ORT_DISABLE_TELEMETRY": "1",
}


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """A module's results do not hang on how many threads the test before it left to torch."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def said() -> Iterator[list[str]]:
    """The lines that the readers print."""
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Kept()
    logger = logging.getLogger("trcgl.labels")
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first, so that no process still has a long file when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
