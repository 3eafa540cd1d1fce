"""The rooms keep their direction, the DAG keeps its lists, and stages run the working copy's code."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.import_graph import ROOT, SOURCE, STUDIES, all_imports, code_deps, direct_imports, listed_code

LOWER = {"config", "labels", "images", "graph", "runtime"}
UPPER = {"diffusion", "classifier", "evaluation", "inference", "doctor", "cli"}
STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
STUDY_STAGES = [
    (folder, name, stage)
    for folder in STUDIES
    for name, stage in YAML(typ="safe").load(folder / "dvc.yaml")["stages"].items()
]
MODULES = sorted((SOURCE / "trcgl").rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(SOURCE / "trcgl").parts[0].removesuffix(".py")


def test_every_room_is_known():
    assert {room(path) for path in MODULES} - {"__init__"} == LOWER | UPPER


@pytest.mark.parametrize("path", [p for p in MODULES if room(p) in LOWER], ids=lambda p: p.stem)
def test_lower_rooms_import_no_upper_ones(path: Path):
    assert {room(found) for found in direct_imports(path)} <= LOWER | {"__init__"}


def test_the_stages_are_the_scripts():
    assert set(STAGES) == {path.stem for path in (ROOT / "stages").glob("*.py")}


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_lists_the_code_it_imports(stage: str):
    assert listed_code(STAGES[stage]) == code_deps(ROOT, STAGES[stage]), "run: python -m tests.import_graph --write"


@pytest.mark.parametrize(
    ("folder", "stage"),
    [(folder, stage) for folder, _, stage in STUDY_STAGES],
    ids=[f"{folder.name}-{name}" for folder, name, _ in STUDY_STAGES],
)
def test_a_stage_of_a_study_lists_the_code_it_runs(folder: Path, stage: dict[str, Any]):
    assert listed_code(stage) == code_deps(folder, stage), "run: python -m tests.import_graph --write"


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_script_is_thin(stage: str):
    assert len((ROOT / "stages" / f"{stage}.py").read_text().splitlines()) <= 70


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_runs_the_working_copy(stage: str):
    assert STAGES[stage]["cmd"] == f"PYTHONPATH=src python stages/{stage}.py"


def test_pythonpath_wins_over_the_installed_package(tmp_path: Path):
    """A queued experiment must run the code it was queued with, not the code edited since."""
    copy = tmp_path / "src" / "trcgl"
    copy.mkdir(parents=True)
    (copy / "__init__.py").write_text("")
    found = subprocess.run(
        [sys.executable, "-c", "import trcgl; print(trcgl.__file__)"],
        env={"PYTHONPATH": "src"}, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(found.stdout.strip()) == copy / "__init__.py"


@pytest.mark.parametrize("stage", ["make_phantom", "scan_images", "parse_labels", "cache_images"])
def test_early_stages_load_no_torch(stage: str):
    """They start in a fraction of a second, and a change of a model never touches them."""
    heavy = {"checkpoint.py"} & {path.name for path in all_imports(ROOT / "stages" / f"{stage}.py")}
    assert not heavy
    script = f"import runpy, sys; runpy.run_path('stages/{stage}.py'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, env={"PYTHONPATH": "src"}).returncode == 0


def test_the_import_walk_sees_imports_inside_functions(tmp_path: Path):
    script = tmp_path / "stage.py"
    script.write_text("def main():\n    from trcgl.labels import splits\n")
    assert SOURCE / "trcgl" / "labels" / "splits.py" in all_imports(script)
    assert SOURCE / "trcgl" / "runtime" / "seeding.py" in all_imports(script)
