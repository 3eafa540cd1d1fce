"""`trcgl doctor` and the stages where no run can go through: no repository, another owner, read-only, conflicts."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from tests.import_graph import ROOT
from tests.test_doctor import examined
from tests.tiny_project import commit, copy_project, run, set_params
from trcgl.doctor.repository import check_repository
from trcgl.doctor.run import examine
from trcgl.runtime import outs, stage


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = copy_project(tmp_path_factory.mktemp("repository") / "project", {"diffusion.base": None})
    (project / "data/mine").mkdir()
    return project


@pytest.fixture
def project(start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = shutil.copytree(start, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def problems() -> list[str]:
    return [str(said).removeprefix("problem  ") for said in examine(Path("params.yaml")) if said.problem]


def warnings() -> list[str]:
    return [str(said).removeprefix("warning  ") for said in examine(Path("params.yaml")) if said.warning]


def without_git(project: Path) -> None:
    shutil.rmtree(project / ".git")


def without_commit(project: Path) -> None:
    without_git(project)
    run(project, "git", "init", "-q")


def conflict(name: str) -> Callable[[Path], None]:
    def plant(project: Path) -> None:
        text = "<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n"
        before = (project / name).read_text() if (project / name).exists() else "schema: '2.0'\n"
        (project / name).write_text(before + text)

    return plant


def params(**values: object) -> Callable[[Path], None]:
    return lambda project: set_params(project / "params.yaml", {k.replace("__", "."): v for k, v in values.items()})


def base_of(kind: str | None) -> Callable[[Path], None]:
    def plant(project: Path) -> None:
        (project / "base").mkdir()
        if kind is not None:
            (project / "base/model_index.json").write_text(json.dumps({"_class_name": kind}))
        params(diffusion__base="./base")(project)
        commit(project, "base")

    return plant


def weights(name: str, write: Callable[[Path], object]) -> Callable[[Path], None]:
    def plant(project: Path) -> None:
        write(project / name)
        params(classifier__initial_weights=name)(project)
        commit(project, "weights")

    return plant


@pytest.mark.parametrize(
    ("plant", "line"),
    [
        (without_git, "git: {here} is in no git repository, and DVC needs one; get the project by `git clone`"),
        (without_commit, "git: has no commit yet, and `dvc exp run` starts from one; run `git add -A && git commit`"),
        (params(baseline__backbone="resnet51"), "baseline.backbone: 'resnet51' is not a timm model; did you"),
        (params(classifier__backbone="zzz"), "classifier.backbone: 'zzz' is not a timm model; "),
        (
            params(classifier__backbone_options={"no_such": 1}),
            "classifier.backbone_options: 'resnet10t' cannot be built with the options {'no_such': 1}",
        ),
        (
            params(classifier__backbone="vit_tiny_patch16_224", classifier__backbone_options={}),
            "classifier.backbone: 'vit_tiny_patch16_224' cannot read images of ",
        ),
        (base_of("StableDiffusionXLPipeline"), "diffusion.base: 'base' holds a StableDiffusionXLPipeline; a StableD"),
        (base_of("FluxPipeline"), "diffusion.base: 'base' holds a FluxPipeline; a StableDiffusionPipeline is needed"),
        (base_of(None), "diffusion.base: 'base' is not a diffusers pipeline (no readable model_index.json)"),
        (
            weights("w.pth", lambda path: torch.save({"a": torch.zeros(2)}, path)),
            "classifier.initial_weights: w.pth: not a safetensors file but a pickle",
        ),
        (
            weights("w.safetensors", lambda path: path.write_bytes(b"x" * 99)),
            "classifier.initial_weights: w.safetensors: not a readable safetensors file",
        ),
        (
            weights("w.safetensors", lambda path: save_file({"a": np.zeros(2)}, path)),
            "classifier.initial_weights: w.safetensors: no tensor (such as a) has the name and shape of one of this ",
        ),
    ],
)
def test_what_no_run_survives_is_a_problem(project: Path, plant: Callable[[Path], None], line: str):
    assert problems() == []
    plant(project)
    (found, *more) = problems()
    assert found.startswith(line.replace("{here}", str(project)))
    assert more == []


@pytest.mark.parametrize("name", ["dvc.lock", "dvc.yaml", "params.yaml"])
def test_conflicts_of_a_merge_are_named_with_their_line(project: Path, name: str):
    conflict(name)(project)
    lines = (project / name).read_text().splitlines()
    found = problems()
    line = lines.index("<<<<<<< HEAD") + 1
    remedy = "take one side, such as by `git checkout --ours" if name == "dvc.lock" else "keep one version of each"
    expected = f"{name}: a merge has left conflicts in it (line {line}); {remedy}"
    assert [expected in text for text in found] == ([False, True] if name == "params.yaml" else [True])


@pytest.mark.skipif(os.geteuid() != 0, reason="gives the folder to another user")
def test_a_folder_of_another_user_is_named_with_the_way_out(project: Path, monkeypatch: pytest.MonkeyPatch):
    for path in (project, project / ".git"):
        os.chown(path, 65534, 65534)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.delenv("SUDO_UID", raising=False)
    (found,) = [str(said) for said in check_repository()]
    assert f"`git config --global --add safe.directory {project}`" in found


def test_a_place_that_may_not_be_written_is_named(project: Path, monkeypatch: pytest.MonkeyPatch):
    """By doctor, and by the stage that writes there before it does anything."""
    shut = project / "data"
    monkeypatch.setattr(outs.os, "access", lambda place, mode: Path(place) != shut)
    assert [str(said) for said in check_repository()] == [
        f"problem  folder: {shut} may not be written by this user; change its permissions or owner"
    ]
    called: list[int] = []
    monkeypatch.setattr(sys, "argv", ["stages/train_classifier.py"])
    assert stage.run_stage(lambda: called.append(1)) == 1
    monkeypatch.setattr(sys, "argv", ["stages/report.py"])
    assert stage.run_stage(lambda: called.append(2)) == 0
    assert called == [2]


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="runs as another user")
def test_a_read_only_folder_stops_a_stage_at_once(project: Path):
    for path in (project, *project.parents):
        path.chmod(path.stat().st_mode | 0o055)
    script = (
        "import os, sys; from trcgl.runtime.stage import run_stage; os.setuid(65534); "
        "sys.argv = ['stages/train_baseline.py']; sys.exit(run_stage(lambda: print('began')))"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
    assert not done.stdout
    assert done.returncode == 1
    assert done.stderr == f"error: {project}: may not be written by this user; " + (
        "change its permissions or owner, and run again\n"
    )


def test_uncommitted_data_in_the_repository_is_a_warning(project: Path):
    """Queued experiments run in a copy of what is committed."""
    (project / "mine").mkdir()
    for name in ("mine/a.png", "mine.csv", "mine_splits.csv"):
        (project / name).touch()
    params(dataset__images="mine", dataset__labels="./mine.csv", dataset__split_file="mine_splits.csv")(project)
    found = warnings()
    assert [line.split(":")[0] for line in found] == ["dataset.images", "dataset.labels", "dataset.split_file"]
    assert found[0] == (
        "dataset.images: 'mine' is in the repository but not committed, so `dvc exp run --queue` and `--temp` do not "
        f"find it; give the absolute path {project}/mine, or commit it"
    )
    commit(project, "labels")
    assert warnings() == []
    (project / "mine.dvc").write_text("outs: []\n")
    run(project, "git", "rm", "-rq", "--cached", "mine")
    assert warnings() == []
    (project / "mine.dvc").unlink()
    assert len(warnings()) == 1
    params(dataset__images=str(project / "mine"))(project)
    assert warnings() == []


def test_a_warning_is_no_problem(project: Path, capsys: pytest.CaptureFixture[str]):
    (project / "words.csv").write_bytes((project / "data/assets/padchest_vocabulary.csv").read_bytes())
    params(labels__vocabulary="words.csv")(project)
    assert any(line.startswith("warning  labels.vocabulary: 'words.csv'") for line in examined(capsys, problems=0))
