"""`compute.threads` decides, not the environment: sums are split among threads, so their number is part of a result."""

import subprocess
import sys

import pytest
import torch

from trcgl.numerics.device import use_threads
from trcgl.runtime.errors import InputError

COUNTS = """
import numpy, torch
from threadpoolctl import threadpool_info
from trcgl.numerics.device import use_threads
use_threads(3)
print(torch.get_num_threads(), sorted({pool["num_threads"] for pool in threadpool_info()}))
"""


@pytest.mark.parametrize("environment", [{}, {"OMP_NUM_THREADS": "1"}, {"OPENBLAS_NUM_THREADS": "7"}])
def test_the_environment_does_not_count(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", COUNTS], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3 [3]"


@pytest.mark.parametrize(("name", "value"), [("OMP_DYNAMIC", "TRUE"), ("OMP_THREAD_LIMIT", "2")])
def test_fewer_threads_than_asked_for_are_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=rf"^the environment variable {name} is {value}, .* \(3\).*; unset it$"):
        use_threads(3)
    monkeypatch.setenv(name, {"OMP_DYNAMIC": "false", "OMP_THREAD_LIMIT": "99"}[name])
    before = torch.get_num_threads()
    use_threads(before)
