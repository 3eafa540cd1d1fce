"""Training beside other programs: one that computes without a pause on every core, against the same training alone.

    PYTHONPATH=src python -m benchmarks.neighbours

Half of the rate is what two programs that share a core can have. On an idle machine, threads that wait by computing
(OpenMP's usual way) are the peer: they start again at once, and hold the cores against the neighbours. They are the
floor, too: on idle cores no way of waiting is faster. Wall time: give the machine nothing else to do.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from benchmarks.report import print_rows, rounds_row, write_results

from trcgl.runtime.cores import usable_cores

RESULT = Path("benchmarks/results/neighbours.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.neighbours"
IMAGES, ROUNDS = 768, 5
SPINNING = {"GOMP_SPINCOUNT": "300000"}
"""What OpenMP's GNU runtime does where nothing is said: some milliseconds of waiting by computing."""


class Trainer:
    """A process that trains for an epoch whenever it is asked to, and waits otherwise."""

    def __init__(self, folder: Path, environment: dict[str, str]):
        code = f"from pathlib import Path; from benchmarks.neighbours import answer; answer(Path({str(folder)!r}))"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], env=os.environ | environment, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def rate(self) -> float:
        """Images per second of an epoch, its validation included."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("train\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def answer(folder: Path) -> None:
    """Run in a process of its own: an epoch per line on standard input, and its rate as the answer."""
    from benchmarks.scaling import one_epoch

    from trcgl.config import load_params
    from trcgl.numerics.device import use_threads

    use_threads(load_params("params.yaml").compute.threads)
    for _ in sys.stdin:
        started = time.perf_counter()
        one_epoch(folder, IMAGES)
        print(IMAGES / (time.perf_counter() - started), flush=True)


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """`count` processes that compute all the time."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def main() -> None:
    cores = usable_cores()
    with tempfile.TemporaryDirectory() as name:
        ours, spinning = Trainer(Path(name), {}), Trainer(Path(name), SPINNING)
        alone: dict[str, list[float]] = {"ours": [], "spinning": []}
        beside = []
        # The first epoch of a process is a slow one
        for trainer in (ours, spinning):
            trainer.rate()
        for _ in range(ROUNDS):
            alone["ours"].append(ours.rate())
            alone["spinning"].append(spinning.rate())
            with neighbours(cores):
                beside.append(ours.rate())
        for trainer in (ours, spinning):
            trainer.close()
    rows = [
        rounds_row(
            "training images/s with a busy neighbour on every core, against the same without",
            beside,
            alone["ours"],
            floor=float(np.median(alone["ours"])) / 2,
            unit="images per s of wall time",
            least=0.45,
            command=COMMAND,
        ),
        rounds_row(
            "training images/s on idle cores, against threads that wait by computing",
            alone["ours"],
            alone["spinning"],
            floor=float(np.median(alone["spinning"])),
            unit="images per s of wall time",
            least=0.97,
            command=COMMAND,
        ),
    ]
    print_rows(rows)
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
