"""The cores that this process may use, and whether other processes use them as well."""

import os
import statistics
import time
from pathlib import Path

from trcgl.runtime.logging import get_logger

log = get_logger("cores")

SAMPLES, PAUSE = 7, 0.02
"""What runs at one moment may be a short burst: the median of so many looks, with so many seconds between them."""


def usable_cores() -> int:
    """Cores that this process may use: fewer than the machine has under `taskset`, in a queue or in a container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def cpu_quota(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float | None:
    """The smallest CPU limit, in cores, of the process's control group and the groups above it; None: no limit.

    Args:
        groups: where the control groups are mounted (version 2, or version 1 with its folder `cpu`).
        own: the file with the process's groups, lines `number:controllers:/path`.
    """
    try:
        lines = [line.split(":", 2) for line in own.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return None
    found = []
    for _, controllers, path in lines:
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = groups / "cpu" if controllers else groups
        inside = root / path.lstrip("/")
        # In a container the path may be that of the host, where only the root is visible
        for folder in (inside, *inside.parents):
            if folder.is_relative_to(root):
                found.append(_limit(folder))
    return min((limit for limit in found if limit is not None), default=None)


def _limit(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota, period = (
                (folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period")
            )
        # "max" and -1 stand for no limit
        return float(quota) / float(period) if float(quota) > 0 else None
    except (OSError, ValueError):
        return None


def warn_if_crowded(threads: int) -> None:
    """Warn before long work that it will be slow, if it has more threads than cores or shares them with others."""
    cores = usable_cores()
    if threads > cores:
        log.warning(
            "%d threads on %s: they wait for each other; more cores, or 'compute.threads' at %d (which changes the "
            "last bits of a trained model), is faster",
            threads, _cores(cores), cores,
        )  # fmt: skip
        return
    others, whole = _running_others(), os.cpu_count() or 1
    if others + threads > whole:
        log.warning(
            "other programs compute with %d threads now: with %d of this run they share the machine's %s, and it takes "
            "longer",
            others, threads, _cores(whole),
        )  # fmt: skip


def _cores(count: int) -> str:
    return "1 core" if count == 1 else f"{count} cores"


def _running_others(loads: Path = Path("/proc/loadavg")) -> int:
    """Number of other threads that now run or wait for a core; 0 if the system does not tell (not Linux)."""
    counts = []
    for _ in range(SAMPLES):
        try:
            counts.append(int(loads.read_text(encoding="ascii").split()[3].split("/")[0]) - 1)
        except (OSError, ValueError, IndexError):
            return 0
        time.sleep(PAUSE)
    return max(0, int(statistics.median(counts)))
