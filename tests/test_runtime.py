"""Atomic files, resumable state, seeds."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from trcgl.runtime import checkpoint
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.device import autocast, pick_device, pick_dtype
from trcgl.runtime.errors import InputError, exit_code
from trcgl.runtime.files import directory_beside, write_csv, write_json, write_parquet, written_beside
from trcgl.runtime.seeding import rng, seed_of, unit_intervals


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


def test_what_a_killed_process_left_beside_is_no_obstacle(tmp_path: Path):
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "stale").touch()
    with directory_beside(tmp_path / "out") as beside:
        (beside / "new").touch()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["new"]


def test_tables_and_json_have_the_same_bytes_each_time(tmp_path: Path):
    frame = pd.DataFrame({"a": ["x", None], "b": [1.5, np.nan]})
    for k in range(2):
        write_parquet(tmp_path / f"{k}.parquet", frame)
        write_csv(tmp_path / f"{k}.csv", frame)
        write_json(tmp_path / f"{k}.json", {"ü": float("nan")})
    for kind in ("parquet", "csv", "json"):
        assert (tmp_path / f"0.{kind}").read_bytes() == (tmp_path / f"1.{kind}").read_bytes()
    assert np.isnan(json.loads((tmp_path / "0.json").read_text())["ü"])


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
        patch.setattr(checkpoint, "PACKAGE", code)
        assert ResumePoint("train", params=("lr", 0.1), inputs=[data]).load() is None
    (data / "a").write_text("2")
    assert ResumePoint("train", params=("lr", 0.1), inputs=[data]).load() is None

    point.clear()
    assert point.load() is None


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
    with pytest.raises(InputError, match=r"compute\.device 'tpu' cannot be used here"):
        pick_device("tpu")
    assert pick_dtype(cpu, "fp32") == torch.float32
    assert pick_dtype(cpu, "bf16") == torch.bfloat16
    assert pick_dtype(cpu, "fp16") == torch.float32
    assert pick_dtype(cpu, "auto") in (torch.float32, torch.bfloat16)
    weight, value = torch.ones(4, 4), torch.ones(1, 4)
    with autocast(cpu, "bf16"):
        assert torch.nn.functional.linear(value, weight).dtype == torch.bfloat16
    with autocast(cpu, "fp32"):
        assert torch.nn.functional.linear(value, weight).dtype == torch.float32
