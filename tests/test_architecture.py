"""The rooms keep their direction, the DAG keeps its lists, and stages run the working copy's code."""

import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.import_graph import HEIGHT, PACKAGE, ROOT, SOURCE, all_imports, direct_imports, needed_rooms, room_of

STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
MODULES = sorted(PACKAGE.rglob("*.py"))


def test_every_module_has_a_room():
    """All but the packages above the rooms, which hold a docstring, and what `import trcgl` offers."""
    homeless = [path for path in MODULES if room_of(path) is None]
    assert {path.parent.name for path in homeless} == {"trcgl", "classifier", "diffusion"}
    assert all(path.name == "__init__.py" and not direct_imports(path) for path in homeless)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_room_imports_lower_rooms_only(path: Path):
    home = room_of(path)
    others = {room for found in direct_imports(path) if (room := room_of(found)) not in (None, home)}
    assert home is None or all(HEIGHT[room] < HEIGHT[home] for room in others if room is not None), others


def test_no_module_imports_itself_through_others():
    """A CycleError names the circle."""
    packages = {path for path in MODULES if path.name == "__init__.py"}
    graph = {path: direct_imports(path) - packages for path in MODULES if path not in packages}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(graph)


def test_the_stages_are_the_scripts():
    assert set(STAGES) == {path.stem for path in (ROOT / "stages").glob("*.py")}


def test_experiments_are_shown_from_their_headline_figures_on():
    """`dvc exp show` lists figures in the order of the stages, and a terminal shows what comes first."""
    files = [next(iter(entry)) for stage in STAGES.values() for entry in stage.get("metrics", ())]
    assert files[0] == "metrics/metrics.json"
    assert len(files) > 1


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_lists_its_script_and_its_rooms(stage: str):
    """Each room that it imports from, and none that it does not; a new module in a room needs no edit."""
    script = f"stages/{stage}.py"
    listed = {dep for dep in STAGES[stage]["deps"] if dep.startswith(("stages/", "src/"))}
    assert listed == {script, *(f"src/trcgl/{room}" for room in needed_rooms([ROOT / script]))}


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


@pytest.mark.parametrize("stage", ["make_phantom", "scan_images", "parse_labels", "cache_images", "read_boxes"])
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
    assert SOURCE / "trcgl" / "numerics" / "seeding.py" in all_imports(script)
