"""Time rivals side by side on a machine that others use as well.

Rivals take turns (A B A B ...), so that whatever slows the machine slows all of them. Every round gives one ratio; the
median is reported with the quartiles. CPU time, of all threads and finished child processes, excludes waiting for other
programs; where waiting is the question, wall time is measured.
"""

import gc
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Clock = Callable[[], float]


def cpu_seconds() -> float:
    """User and system time of this process and of its children that have ended, to a microsecond."""
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def wall_seconds() -> float:
    return time.perf_counter()


def peak_megabytes() -> float:
    """Peak resident memory of this process (Linux); getrusage's figure starts at the size of the parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


@dataclass(frozen=True)
class Rounds:
    """Seconds by rival: name -> float [rounds], in the order they ran."""

    seconds: dict[str, np.ndarray]

    def median(self, name: str) -> float:
        return float(np.median(self.seconds[name]))

    def ratios(self, name: str, peer: str) -> np.ndarray:
        """Seconds of `name` divided by those of `peer`, per round."""
        return self.seconds[name] / self.seconds[peer]


def take_turns(
    rivals: Mapping[str, Callable[[], object]], *, rounds: int = 7, clock: Clock = cpu_seconds, warm_up: bool = True
) -> Rounds:
    """Run every rival once per round."""
    if warm_up:
        for run in rivals.values():
            run()
    # What one rival has imported must not slow the garbage collector down for another
    gc.collect()
    gc.freeze()
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, run in rivals.items():
            started = clock()
            run()
            seconds[name].append(clock() - started)
    return Rounds({name: np.array(values) for name, values in seconds.items()})
