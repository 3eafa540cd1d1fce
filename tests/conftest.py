"""How the tests run side by side: one thread per process, what a file's tests share made once, the long ones first."""

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


# First, because pytest-xdist reads the groups in a hook of the same name
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and shares_a_fixture(item):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    # So that no process has a long one left when the others are done
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def shares_a_fixture(test: pytest.Function) -> bool:
    """Whether a process that runs it alone would make again what other tests of the file use, too."""
    return any(fixtures[-1].scope == "module" for fixtures in test._fixtureinfo.name2fixturedefs.values())
