"""The studies beside the ablation study: same scripts, other arms, other images."""

import json
import math
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from study.arms import JUDGE, Study, load_study
from study.workplace import run_stages
from tests.import_graph import JOINT, ROOT
from tests.tiny_project import run, set_params
from trcgl.config import load_params
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.errors import InputError

STUDIES = ROOT / "studies"
CORE = load_study(STUDIES / "ablation")


def matrices(folder: Path) -> dict[str, list[str]]:
    """Stage of a study's dvc.yaml -> its arms."""
    stages = YAML(typ="safe").load(folder / "dvc.yaml")["stages"]
    return {name: stage["matrix"]["arm"] for name, stage in stages.items() if "arm" in stage.get("matrix", {})}


def test_the_joint_hash_is_that_of_sha256sum(tmp_path: Path):
    files = ["../a.py", "../b/c.py", "../b/d.py"]
    folder = tmp_path / "code"
    folder.mkdir()
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {file}\n")
    shutil.copy(JOINT / "joint_hash.py", folder)

    def joint() -> str:
        run(folder, sys.executable, "joint_hash.py", "../train.py")
        return json.loads((folder / "train.json").read_text())["sha256"]

    YAML().dump({"stages": {"train": {"deps": ["joint_hash.py", *reversed(files)]}}}, folder / "dvc.yaml")
    before = joint()
    assert before == run(folder, "sh", "-c", f"sha256sum {' '.join(files)} | sha256sum").split()[0]
    (tmp_path / "not_listed.py").touch()
    (tmp_path / "a.py").touch()
    assert joint() == before
    (tmp_path / "b/d.py").write_text("# changed\n")
    assert joint() != before


def test_the_extended_study_is_beside_the_core_studys_trcgl():
    folder = STUDIES / "ablation/extended"
    study = load_study(folder)
    assert study.arms["trcgl"].overrides == CORE.arms["trcgl"].overrides
    assert set(study.seeds) <= set(CORE.seeds)
    assert (study.learning_rates, study.data, study.resamples) == (CORE.learning_rates, CORE.data, CORE.resamples)
    assert study.root["compute.threads"] == CORE.root["compute.threads"]
    others = [name for name in study.arms if name != "trcgl"]
    assert matrices(folder) == {"learning_rate": others, "arm": others}
    assert all(study.arms[name].references == ("trcgl",) for name in others)
    assert all(study.arms[name].learning_rate_of == name for name in others)


def test_extended_arms_differ_in_what_they_are_about_alone():
    study = load_study(STUDIES / "ablation/extended")
    trcgl = study.params("trcgl", 3, 0.004).classifier
    for name, arm in study.arms.items():
        knobs = study.params(name, 3, 0.004).classifier
        changed = {key for key in vars(knobs) if getattr(knobs, key) != getattr(trcgl, key)}
        assert changed <= {key.removeprefix("classifier.") for key in arm.overrides}
        assert knobs.extra_source == "none"
        assert knobs.epochs + knobs.retrain_head_epochs == trcgl.epochs + trcgl.retrain_head_epochs
        repeats = (knobs.sampler, knobs.repeat_threshold) != (trcgl.sampler, trcgl.repeat_threshold)
        assert (arm.steps_like == "trcgl") == repeats
    for part in ("gate", "attention", "graph"):
        knobs = study.params(f"{part}_only", 0).classifier
        strengths = {key: getattr(knobs, f"{key}_strength") for key in ("gate", "attention", "graph")}
        assert strengths.pop(part) > 0
        assert set(strengths.values()) == {0}


def with_paths(folder: Path) -> Study:
    """The study of real X-rays as a user would set it."""
    copied = folder / "studies/real_xrays"
    copied.mkdir(parents=True)
    shutil.copytree(STUDIES / "ablation", folder / "studies/ablation", ignore=shutil.ignore_patterns("runs", "ext*"))
    shutil.copytree(ROOT / "presets", folder / "presets")
    shutil.copy(STUDIES / "real_xrays/params.yaml", copied / "params.yaml")
    paths = {"root.dataset.images": "/data/nih/images", "root.dataset.labels": "/data/nih/labels.csv"}
    set_params(copied / "params.yaml", paths)
    return load_study(copied)


@pytest.mark.parametrize("name", ["confirmation", "real_xrays"])
def test_a_study_on_other_images_has_its_arms_data_and_seeds(name: str, tmp_path: Path):
    study = load_study(STUDIES / name) if name == "confirmation" else with_paths(tmp_path)
    assert JUDGE in study.arms
    rivals = [arm for arm in study.arms if arm != "default"]
    assert matrices(STUDIES / name) == {"learning_rate": rivals, "head_arm": rivals, "default_arm": ["default"]}
    assert set(study.arms["default"].references) == set(rivals)
    assert {arm: study.arms[arm].overrides for arm in rivals} == {arm: CORE.arms[arm].overrides for arm in rivals}
    assert study.data == study.folder / "data" != CORE.data
    shipped, grid = load_params(study.root_params), study.learning_rates
    default = study.params("default", 0)
    assert replace(default.classifier, seed=shipped.classifier.seed) == shipped.classifier
    assert grid.seed not in study.seeds
    assert min(grid.tried) < shipped.classifier.lr < max(grid.tried)
    assert grid.epochs == math.ceil(shipped.classifier.epochs / 2)
    assert default.dataset != load_params(ROOT / "params.yaml").dataset


def test_the_studies_write_different_files(tmp_path: Path):
    folders = [STUDIES / name for name in ("ablation", "ablation/extended", "confirmation")]
    names = [load_study(folder).name for folder in folders] + [with_paths(tmp_path).name]
    assert len(set(names)) == len(names)
    results = (ROOT / "docs/results.md").read_text()
    assert all(f"<!-- {name}:begin -->" in results for name in names)


def test_real_xrays_ask_for_their_folder():
    with pytest.raises(InputError, match=r"real_xrays/params.yaml: 'root.dataset.images' is empty; set it to a path"):
        load_study(STUDIES / "real_xrays")


def test_an_arm_that_needs_another_brings_it(tmp_path: Path):
    study = with_paths(tmp_path)
    for only, message in (
        (["bce_linear", "duplicates"], "arm 'duplicates' needs 'trcgl', which is no arm there"),
        (["bce_linear", "resnet"], "'only' names 'resnet', which is no arm of"),
    ):
        set_params(study.folder / "params.yaml", {"only": only})
        with pytest.raises(InputError, match=message):
            load_study(study.folder)


def test_stages_run_elsewhere_and_continue_where_they_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    project, seen = tmp_path / "project", tmp_path / "seen"
    (project / "stages").mkdir(parents=True)
    seen.mkdir()
    (seen / "count").write_text("")
    first = "from pathlib import Path\nopen('data/seen/count', 'a').write(Path('params.yaml').read_text())\n"
    (project / "stages/first.py").write_text(first)
    (project / "stages/second.py").write_text("raise SystemExit(3)\n")

    def run() -> Path:
        resume = ResumePoint("work", params=0)
        return run_stages(project, ("first", "second"), {"knob": 1}, {"seen": seen}, resume)

    with pytest.raises(InputError, match="stage second ended with 3; run this again to continue there"):
        run()
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    second = "import os\nfrom pathlib import Path\nPath('made').write_text(os.environ['PYTHONPATH'])\n"
    (project / "stages/second.py").write_text(second)
    assert (run() / "made").read_text() == os.pathsep.join([str(project / "src"), "/elsewhere"])
    assert (seen / "count").read_text() == "knob: 1\n"
