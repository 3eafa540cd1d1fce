"""The log of a stage: what the terminal shows, with what an issue needs, and no trouble of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trcgl.runtime import stage

SCRIPT = """
import sys
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger
from trcgl.runtime.stage import run_stage

def main():
    get_logger("part").info("said %s", sys.argv[1])
    if sys.argv[1] == "wrong":
        raise InputError("params.yaml: no such thing")
    if sys.argv[1] == "bug":
        raise RuntimeError("of ours")

sys.exit(run_stage(main))
"""


def ran(folder: Path, word: str) -> subprocess.CompletedProcess[str]:
    (folder / "some_stage.py").write_text(SCRIPT)
    path = {"PYTHONPATH": str(Path(stage.__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "some_stage.py", word], cwd=folder, env=os.environ | path, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("word", "code", "expected"),
    [
        ("right", 0, "exit code 0"),
        ("wrong", 1, "error: params.yaml: no such thing"),
        ("bug", 1, "RuntimeError: of ours"),
    ],
)
def test_the_log_says_what_the_terminal_says_and_what_ran(tmp_path: Path, word: str, code: int, expected: str):
    (tmp_path / "params.yaml").write_text("a: 1\n")
    done = ran(tmp_path, word)
    assert done.returncode == code
    text = (tmp_path / "logs" / f"some_stage-{word}.log").read_text()
    assert expected in text
    assert f"trcgl.part: said {word}" in text
    assert f"said {word}" in done.stderr
    assert "torch 2." in text
    assert "params.yaml " in text
    assert "exit code" not in done.stderr


def test_a_long_log_is_moved_aside_and_the_oldest_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stage, "BYTES", 3000)
    for argument in range(30):
        monkeypatch.setattr(sys, "argv", ["stages/one.py"])
        assert stage.run_stage(lambda number=argument: stage.get_logger("x").info("run %d", number)) == 0
    logs = sorted(path.name for path in Path("logs").iterdir())
    assert logs == ["one.log", "one.log.1", "one.log.2", "one.log.3"]
    assert all(path.stat().st_size <= 3000 for path in Path("logs").iterdir())
    assert "run 29" in Path("logs/one.log").read_text()


def test_a_users_own_style_is_not_drawn_in(tmp_path: Path):
    (tmp_path / "matplotlibrc").write_text("figure.facecolor: black")
    for early in ("import trcgl.runtime.figures; ", ""):
        script = (
            f"import sys; {early}from trcgl.runtime.stage import run_stage; sys.argv = ['stages/one.py']\n"
            "def main():\n    import trcgl.runtime.figures, matplotlib\n"
            "    print(matplotlib.rcParams['figure.facecolor'], matplotlib.get_backend())\n"
            "sys.exit(run_stage(main))"
        )
        path = {"PYTHONPATH": str(Path(stage.__file__).parents[2])}
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=os.environ | path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.lower() == "white agg\n", early


def test_a_place_that_cannot_be_written_stops_nothing(tmp_path: Path):
    (tmp_path / "logs").write_text("a file where the folder would be")
    done = ran(tmp_path, "right")
    assert done.returncode == 0
    assert len(done.stderr.strip().splitlines()) == 1
