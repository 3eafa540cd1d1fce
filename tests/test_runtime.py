"""Atomic files, resumable state, seeds."""

import fcntl
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from trcgl.numerics.device import autocast, pick_device, pick_dtype
from trcgl.numerics.seeding import rng, seed_of, unit_intervals
from trcgl.runtime import checkpoint, files, resume_folder
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.errors import InputError, exit_code
from trcgl.runtime.files import directory_beside, write_csv, write_json, write_parquet, write_text, written_beside
from trcgl.runtime.memory import naming_the_knob
from trcgl.runtime.stopping import Stopped, stopping_on_signals, whole_steps


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path):
    path = tmp_path / "new" / "a.txt"
    with written_beside(path) as beside:
        beside.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    with pytest.raises(RuntimeError), written_beside(path) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert path.read_text() == "one"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path):
    path = tmp_path / "out"
    with directory_beside(path) as beside:
        (beside / "old").touch()
    with directory_beside(path) as beside:
        (beside / "new").touch()
    assert [p.name for p in path.iterdir()] == ["new"]
    with pytest.raises(RuntimeError), directory_beside(path) as beside:
        (beside / "half").touch()
        raise RuntimeError
    assert [p.name for p in path.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_leftovers_of_killed_processes_go_and_those_of_living_ones_stay(tmp_path: Path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    script = (
        "import sys; from trcgl.runtime.files import *\nwith {} as beside: print(beside); sys.stdout.flush(); input()"
    )
    environment = {**os.environ, "PYTHONPATH": str(resume_folder.PACKAGE.parent)}
    for call in ("directory_beside('out')", "written_beside('a.csv')"):
        other = subprocess.Popen(
            [sys.executable, "-c", script.format(call)], cwd=tmp_path, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert other.stdout is not None
        living = tmp_path / other.stdout.readline().strip()
        stale = living.with_name(living.name.replace(str(other.pid), str(dead.pid)))
        assert stale != living
        stale.mkdir()
        (stale / "half").touch()
        files._tidy.cache_clear()
        with directory_beside(tmp_path / "out") as beside:
            (beside / "new").touch()
        write_csv(tmp_path / "a.csv", pd.DataFrame({"a": [1]}))
        assert not stale.exists()
        assert living.exists()
        other.communicate("\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "out"]


def test_a_folder_is_listed_once_however_many_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    listed: list[Path] = []
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: (listed.append(path), iterdir(path))[1])
    for k in range(20):
        write_text(tmp_path / f"{k}.txt", "x")
    assert listed == [tmp_path]


@pytest.mark.parametrize("error", [Stopped(15), KeyboardInterrupt(), OSError(13, "no")])
def test_a_folder_comes_back_if_the_exchange_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
):
    """After the old one has gone aside, before the new one is there."""
    with directory_beside(tmp_path / "out") as beside:
        (beside / "old").touch()
    replace = Path.replace

    def stopped(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            raise error
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises(type(error)), directory_beside(tmp_path / "out") as beside:
        (beside / "new").touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_old_folder_that_a_killed_process_has_put_aside_comes_back(tmp_path: Path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    aside = tmp_path / f".out.{files._here()}-{dead.pid}.old"
    aside.mkdir()
    (aside / "old").touch()
    files._tidy.cache_clear()
    write_text(tmp_path / "a.txt", "x")
    assert (tmp_path / "out" / "old").exists()


def test_an_old_folder_of_a_killed_process_with_this_number_comes_back(tmp_path: Path):
    """A container that starts again gives its processes the same numbers."""
    (tmp_path / f".out.{files._here()}-{os.getpid()}.old").mkdir()
    (tmp_path / f".out.{files._here()}-{os.getpid()}.old" / "old").touch()
    files._tidy.cache_clear()
    with pytest.raises(KeyError), directory_beside(tmp_path / "out"):
        raise KeyError
    assert (tmp_path / "out" / "old").exists()


def test_what_another_process_tidies_and_a_folder_that_cannot_be_listed_stop_no_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = tmp_path / f".out.{files._here()}-{dead.pid}.old"

    def closed(_: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    for listed in (lambda _: iter([gone]), closed):
        monkeypatch.setattr(Path, "iterdir", listed)
        files._tidy.cache_clear()
        write_text(tmp_path / "a.txt", "x")
        assert (tmp_path / "a.txt").read_text() == "x"
        (tmp_path / "a.txt").unlink()


def test_two_writers_of_one_file_leave_that_of_the_last(tmp_path: Path):
    """Whoever reads meanwhile sees one of the two tables, whole."""
    script = (
        "import sys; from trcgl.runtime.files import write_text\n"
        "for _ in range(40): write_text('a.txt', sys.argv[1] * 20_000)"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", script, letter], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(resume_folder.PACKAGE.parent)},
        )
        for letter in "xy"
    ]  # fmt: skip
    while any(writer.poll() is None for writer in writers):
        if (tmp_path / "a.txt").exists():
            text = (tmp_path / "a.txt").read_text()
            assert text in ("x" * 20_000, "y" * 20_000)
    assert [writer.communicate()[1] for writer in writers] == ["", ""]
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_tables_and_json_have_the_same_bytes_each_time(tmp_path: Path):
    frame = pd.DataFrame({"a": ["x", None], "b": [1.5, np.nan]})
    for k in range(2):
        write_parquet(tmp_path / f"{k}.parquet", frame)
        write_csv(tmp_path / f"{k}.csv", frame)
        write_json(tmp_path / f"{k}.json", {"ü": float("nan")})
    for kind in ("parquet", "csv", "json"):
        assert (tmp_path / f"0.{kind}").read_bytes() == (tmp_path / f"1.{kind}").read_bytes()
    assert json.loads((tmp_path / "0.json").read_text()) == {"ü": None}


def test_state_is_found_again_only_for_the_same_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    data = tmp_path / "data"
    data.mkdir()
    (data / "a").write_text("1")
    point = ResumePoint("train", params=("lr", 0.1), inputs=[data])
    assert point.load() is None
    point.save({"step": 3, "weights": {"w": torch.arange(3.0)}})

    state = ResumePoint("train", params=("lr", 0.1), inputs=[data]).load()
    assert state is not None
    assert state["step"] == 3
    assert torch.equal(state["weights"]["w"], torch.arange(3.0))
    assert ResumePoint("train", params=("lr", 0.2), inputs=[data]).load() is None
    assert ResumePoint("evaluate", params=("lr", 0.1), inputs=[data]).load() is None

    code = tmp_path / "package"
    code.mkdir()
    (code / "m.py").write_text("changed = True")
    with monkeypatch.context() as patch:
        patch.setattr(resume_folder, "PACKAGE", code)
        assert ResumePoint("train", params=("lr", 0.1), inputs=[data]).load() is None
    script = tmp_path / "stage.py"
    script.write_text("changed = True")
    with monkeypatch.context() as patch:
        patch.setattr("sys.argv", [str(script)])
        assert ResumePoint("train", params=("lr", 0.1), inputs=[data]).load() is None
    (data / "a").write_text("2")
    assert ResumePoint("train", params=("lr", 0.1), inputs=[data]).load() is None

    point.clear()
    assert point.load() is None


def test_a_second_run_of_the_same_has_a_state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["-c"])
    script = (
        "import os, sys, time; from trcgl.runtime.checkpoint import ResumePoint\n"
        "point = ResumePoint('train', params=1)\n"
        # A worker that lives on when its run is killed
        "if os.fork() == 0:\n    os.close(1); time.sleep(20); os._exit(0)\n"
        "print(point.load(), flush=True); point.save({'step': 7}); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(resume_folder.PACKAGE.parent)},
    )  # fmt: skip
    assert other.stdout is not None
    assert other.stdout.readline() == "None\n"
    point = ResumePoint("train", params=1)
    assert point.folder.name.endswith("-2")
    assert point.load() is None
    point.save({"step": 3})
    assert ResumePoint("train", params=1).folder == point.folder
    other.kill()
    other.wait()
    point.clear()
    # What the killed run had reached is found again
    assert ResumePoint("train", params=1).load() == {"step": 7}


def test_a_folder_that_is_removed_before_it_is_locked_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By a run that ends just then: what is saved must not go into a folder that is no longer there."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    flock, removed = fcntl.flock, []

    def late(lock: int, how: int) -> None:
        if not removed:
            removed.append(next((tmp_path / ".resume/train").iterdir()))
            removed[0].rmdir()
        flock(lock, how)

    monkeypatch.setattr(fcntl, "flock", late)
    point = ResumePoint("train", params=1)
    assert point.folder == removed[0]
    point.save({"step": 1})
    assert ResumePoint("train", params=1).load() == {"step": 1}


def _flipped(content: bytes) -> bytes:
    half = len(content) // 2
    return content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]


@pytest.mark.parametrize("damage", [_flipped, lambda content: content[:-1], lambda content: b""])
def test_a_damaged_state_is_reported_and_the_one_before_it_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes]
):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    said: list[str] = []
    monkeypatch.setattr(checkpoint.log, "warning", lambda text, *values: said.append(text % values))
    point = ResumePoint("train", params=1)
    for step in range(4):
        point.save({"step": step})
    older, latest = sorted(point.folder.iterdir())
    latest.write_bytes(damage(latest.read_bytes()))

    point = ResumePoint("train", params=1)
    assert point.load() == {"step": 2}
    assert said == [f"{latest} is damaged or cut short; an earlier state is used, or the stage starts anew"]
    point.save({"step": 3})
    files = sorted(point.folder.iterdir())
    assert len(files) == 2
    assert files[0] == older
    assert ResumePoint("train", params=1).load() == {"step": 3}
    for file in files:
        file.write_bytes(damage(file.read_bytes()))
    assert ResumePoint("train", params=1).load() is None


def test_a_state_that_is_not_plain_data_is_not_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    ResumePoint("train", params=1).save({"step": Path("x")})
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        ResumePoint("train", params=1).load()


STOPPED = """
import os, signal, sys, time
from trcgl.runtime.errors import exit_code
from trcgl.runtime.files import written_beside
from trcgl.runtime.stopping import whole_steps

signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell's background jobs ignore it

def main():
    if sys.argv[1] == "at once":
        with written_beside("out.txt") as beside:
            beside.write_text("half")
            os.kill(os.getpid(), getattr(signal, sys.argv[2]))
            time.sleep(600)
    with whole_steps() as asked_to_stop:
        for step in range(100):
            if step == 2:
                os.kill(os.getpid(), getattr(signal, sys.argv[2]))
                time.sleep(0.01)
            print("step", step)
            if asked_to_stop():
                return

sys.exit(exit_code(main))
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_is_one_line_and_a_code(tmp_path: Path, name: str, code: int):
    """At once, with what is half written removed; inside a loop of whole steps, after the step."""

    def stopped(how: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", STOPPED, how, name], cwd=tmp_path, capture_output=True, text=True)

    at_once, after_step = stopped("at once"), stopped("after the step")
    assert list(tmp_path.iterdir()) == []
    assert after_step.stdout == "step 0\nstep 1\nstep 2\n"
    for done in (at_once, after_step):
        assert done.returncode == code
        assert done.stderr == (
            f"error: stopped by {name}; finished outputs are kept, none is half-written; run again to continue\n"
        )


def test_a_second_signal_does_not_wait_for_the_step():
    with pytest.raises(Stopped, match="SIGTERM"), stopping_on_signals(), whole_steps() as asked_to_stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked_to_stop()
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("the step went on")


def test_a_request_that_torchrun_repeats_does_not_cut_the_step(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    ended = []
    with pytest.raises(Stopped, match="SIGTERM"), stopping_on_signals(), whole_steps() as asked_to_stop:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
            assert asked_to_stop()
        ended.append("state saved")
    assert ended
    # A person at the keyboard is not a repetition. Programs that a shell runs in the background ignore SIGINT
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(Stopped, match="SIGINT"), stopping_on_signals(), whole_steps():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("the step went on")
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "CUDA out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"), "can't allocate memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED\nmore"), "ALLOC_FAILED"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_out_of_memory_names_the_knob(error: Exception, said: str):
    with (
        pytest.raises(InputError, match=f"^out of memory; lower 'batch' \\(.*{said}[^\n]*$"),
        naming_the_knob("'batch'"),
    ):
        raise error


def test_out_of_memory_where_no_knob_helps_says_what_does():
    outer = pytest.raises(InputError, match=r"^out of memory; use a device with more memory, or end what else")
    with outer, naming_the_knob(None):
        raise torch.OutOfMemoryError("CUDA out of memory")
    # The knob of the inner block stays
    with pytest.raises(InputError, match="lower 'batch'"), naming_the_knob(None), naming_the_knob("'batch'"):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_another_error_is_not_called_out_of_memory():
    with pytest.raises(RuntimeError, match="shapes"), naming_the_knob("'batch'"):
        raise RuntimeError("shapes do not fit")


def test_a_real_allocation_that_fails_names_the_knob():
    with pytest.raises(InputError, match="out of memory; lower 'batch'"), naming_the_knob("'batch'"):
        torch.empty(2**60, dtype=torch.uint8)


# Writers of the formats that the stages leave, each larger than the limit
LIMITED = """
import resource, signal, sys
import numpy as np, pandas as pd
from trcgl.runtime.errors import exit_code
from trcgl.runtime.files import directory_beside, write_csv, write_json, write_parquet, write_text, written_beside

def safetensors():
    from safetensors.numpy import save_file
    with written_beside("a.safetensors") as beside:
        save_file({"a": np.zeros(100_000)}, beside)

def array():
    with directory_beside("a") as beside:
        np.save(beside / "a.npy", np.zeros(100_000))

def zipped():
    with written_beside("a.npz") as beside:
        np.savez(beside, a=np.zeros(100_000))

def state():
    import torch
    from trcgl.runtime.checkpoint import ResumePoint
    ResumePoint("stage", params=1).save({"a": torch.zeros(100_000)})

noise = pd.DataFrame({"a": np.random.default_rng(0).random(50_000)})
kinds = {
    "parquet": lambda: write_parquet("a.parquet", noise), "csv": lambda: write_csv("a.csv", noise),
    "json": lambda: write_json("a.json", noise["a"].tolist()), "safetensors": safetensors, "npy": array, "npz": zipped,
    "checkpoint": state,
}
# The limit answers as a full disk or a quota does: by an error of the write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for name in sys.argv[1:]:
    code = exit_code(kinds[name])
    print(name, code)
"""


def test_no_space_is_one_line_and_leaves_nothing_half_written(tmp_path: Path):
    kinds = ["parquet", "csv", "json", "safetensors", "npy", "npz", "checkpoint"]
    done = subprocess.run([sys.executable, "-c", LIMITED, *kinds], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(f"{kind} 1\n" for kind in kinds)
    lines = done.stderr.splitlines()
    assert len(lines) == len(kinds), done.stderr
    assert all(line.startswith("error: ") and ": no space is left to write it;" in line for line in lines), done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_seeds_depend_on_every_part_and_nothing_else():
    assert seed_of("a", 1) == seed_of("a", 1)
    # Stable across versions of the project: splits of published runs depend on it
    assert seed_of("split", 0, "patient") == 7270124055864514362
    assert len({seed_of("a", 1), seed_of("a", "1"), seed_of("a1"), seed_of(1, "a"), seed_of("a", 2)}) == 5
    assert rng("x").integers(1000) == rng("x").integers(1000)
    draws = unit_intervals("split", 0, names=["patient", *map(str, range(2000))])
    assert draws[0] == seed_of("split", 0, "patient") / 2**63
    assert 0 <= min(draws) < max(draws) < 1
    assert abs(np.mean(draws) - 0.5) < 0.03


def test_an_input_error_is_one_line_and_exit_code_one(capsys: pytest.CaptureFixture[str]):
    def fail() -> None:
        raise InputError("a.csv: row 3: no patient")

    assert exit_code(lambda: None) == 0
    assert exit_code(fail) == 1
    assert capsys.readouterr().err == "error: a.csv: row 3: no patient\n"
    with pytest.raises(ZeroDivisionError):
        exit_code(lambda: print(1 / 0))


def test_devices_and_precisions():
    cpu = torch.device("cpu")
    assert pick_device("cpu") == cpu
    with pytest.raises(InputError, match=r"'compute\.device' is 'tpu', which cannot be used here"):
        pick_device("tpu")
    there = torch.cuda.device_count()
    with pytest.raises(
        InputError, match=rf"'cuda:{there}', which cannot be used here \(GPUs found: {there}\); use auto"
    ):
        pick_device(f"cuda:{there}")
    assert not torch.backends.cudnn.allow_tf32
    assert pick_dtype(cpu, "fp32") == torch.float32
    assert pick_dtype(cpu, "bf16") == torch.bfloat16
    with pytest.raises(InputError, match=r"'compute\.precision' is fp16, .*; on a processor use auto, bf16 or fp32"):
        pick_dtype(cpu, "fp16")
    assert pick_dtype(cpu, "auto") in (torch.float32, torch.bfloat16)
    weight, value = torch.ones(4, 4), torch.ones(1, 4)
    with autocast(cpu, "bf16"):
        assert torch.nn.functional.linear(value, weight).dtype == torch.bfloat16
    with autocast(cpu, "fp32"):
        assert torch.nn.functional.linear(value, weight).dtype == torch.float32
