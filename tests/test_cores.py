"""The cores that a process may use, the warnings where they are too few, and how OpenMP's threads wait."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trcgl.runtime import cores
from trcgl.runtime.cores import cpu_quota, usable_cores, warn_if_crowded

ROOT = Path(__file__).parent.parent


def groups(folder: Path, files: dict[str, str], own: str) -> tuple[Path, Path]:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content + "\n")
    (folder / "own").write_text(own + "\n")
    return folder, folder / "own"


@pytest.mark.parametrize(
    ("files", "own", "cores"),
    [
        ({}, "0::/", None),
        ({"cpu.max": "max 100000"}, "0::/", None),
        ({"cpu.max": "150000 100000"}, "0::/", 1.5),
        ({"job/cpu.max": "400000 100000"}, "0::/job/step", 4.0),
        ({"job/cpu.max": "400000 100000", "job/step/cpu.max": "max 100000"}, "0::/job/step", 4.0),
        ({"job/cpu.max": "400000 100000", "job/step/cpu.max": "50000 25000"}, "0::/job/step", 2.0),
        ({"cpu.max": "200000 100000"}, "0::/docker/of-the-host", 2.0),
        ({"cpu/a/cpu.cfs_quota_us": "300000", "cpu/a/cpu.cfs_period_us": "100000"}, "3:cpu,cpuacct:/a\n0::/", 3.0),
        ({"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, "3:cpu,cpuacct:/a", None),
        ({"cpu/a/cpu.cfs_quota_us": "300000", "cpu/a/cpu.cfs_period_us": "100000"}, "3:cpuset:/a", None),
        ({"cpu.max": "?"}, "0::/", None),
    ],
)
def test_the_least_quota_of_the_group_and_those_above_counts(
    files: dict[str, str], own: str, cores: float | None, tmp_path: Path
):
    assert cpu_quota(*groups(tmp_path, files, own)) == cores


def test_no_control_groups_are_no_limit(tmp_path: Path):
    assert cpu_quota(tmp_path, tmp_path / "missing") is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_taskset_counts():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from trcgl.runtime.cores import usable_cores; print(usable_cores())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"


@pytest.mark.parametrize(("quota", "usable"), [(None, 8), (2.5, 2), (0.5, 1), (16.0, 8)])
def test_a_quota_lowers_the_cores(quota: float | None, usable: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "cpu_quota", lambda: quota)
    assert usable_cores() == usable


@pytest.mark.parametrize(
    ("threads", "others", "said"),
    [
        (2, 0, ""),
        (2, 2, ""),
        (2, 3, "other programs compute with 3 threads now: with 2 of this run they share the machine's 4 cores"),
        (5, 0, "5 threads on 4 cores"),
    ],
)
def test_a_crowded_machine_is_said(threads: int, others: int, said: str, monkeypatch: pytest.MonkeyPatch):
    lines: list[str] = []
    monkeypatch.setattr(cores.log, "warning", lambda text, *values: lines.append(text % values))
    monkeypatch.setattr(cores, "usable_cores", lambda: 4)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(cores, "_running_others", lambda: others)
    warn_if_crowded(threads)
    assert len(lines) == bool(said)
    assert all(said in line for line in lines)


def test_threads_that_run_now_are_counted_without_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cores, "PAUSE", 0.0)
    (tmp_path / "loadavg").write_text("1.04 1.23 1.79 4/96 8712\n")
    assert cores._running_others(tmp_path / "loadavg") == 3
    assert cores._running_others(tmp_path / "missing") == 0


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, "GOMP_SPINCOUNT = '4000'"),
        ({"GOMP_SPINCOUNT": "7"}, "GOMP_SPINCOUNT = '7'"),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, "GOMP_SPINCOUNT = '0'"),
    ],
)
def test_openmp_waits_as_the_package_or_the_user_says(given: dict[str, str], shown: str):
    """The runtime itself says what it has read."""
    unset = {key: value for key, value in os.environ.items() if key not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run(
        [sys.executable, "-c", "import trcgl.numerics.device"],
        env=unset | given | {"OMP_DISPLAY_ENV": "VERBOSE"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shown in done.stderr


@pytest.mark.parametrize("script", sorted((ROOT / "stages").glob("*.py")), ids=lambda path: path.stem)
def test_stages_import_the_package_before_other_libraries(script: Path):
    """Torch's OpenMP reads the environment once, when it is loaded."""
    imports = [node for node in ast.parse(script.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports]
    roots = [str(module).partition(".")[0] for module in modules]
    assert next(root for root in roots if root not in sys.stdlib_module_names) == "trcgl"
