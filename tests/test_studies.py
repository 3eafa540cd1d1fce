"""The studies as a DVC project of their own: what their stages list, their arms, images and parameters."""

import os
import re
import runpy
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from study import generator, runs
from study.arms import AS_SHIPPED, JUDGE, Chosen, Study, load_study
from study.gathering import check_films
from study.parameters import load_pipeline
from study.workplace import run_stages
from tests.import_graph import ROOT, STUDIES, all_imports, needed_rooms
from tests.tiny_project import commit, copy_project, copy_studies, environment, run, set_params
from trcgl.config import checked, load_params
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.errors import InputError
from trcgl.runtime.settings import read_yaml
from trcgl.runtime.stopping import Stopped

CORE = load_study(STUDIES / "ablation")
NAMES = (
    "ablation", "ablation/extended", "confirmation", "real_xrays", "real_xrays/made_tail", "real_xrays/boxed_tail",
    "stage_one", "pretrain",
)  # fmt: skip
DAGS = {study: YAML(typ="safe").load(STUDIES / study / "dvc.yaml") for study in NAMES}
CODE = [
    (study, name)
    for study, dag in DAGS.items()
    for name, stage in dag["stages"].items()
    if study != "pretrain" and "python" in stage["cmd"]  # Pre-training is an hour: begun on purpose, not by an edit
]


def matrices(study: str) -> dict[str, list[str]]:
    """Stage of a study's dvc.yaml -> its arms."""
    stages, heads = DAGS[study]["stages"], DAGS[study].get("vars", [{"heads": []}])[0]["heads"]
    arms = {name: stage["matrix"]["arm"] for name, stage in stages.items() if "arm" in stage.get("matrix", {})}
    return {name: heads if listed == "${heads}" else listed for name, listed in arms.items()}


def within(room: str, folders: Iterable[str]) -> bool:
    return any(room == folder or room.startswith(f"{folder}/") for folder in folders)


@pytest.mark.parametrize(("study", "name"), CODE)
def test_a_stage_lists_its_scripts_and_its_rooms(study: str, name: str):
    """Its script and those of the pipeline that it runs, the rooms of all of them, and nothing else of the code."""
    folder = STUDIES / study
    stage = DAGS[study]["stages"][name]
    script = (folder / stage["cmd"].split()[2]).resolve()
    of_pipeline = [ROOT / f"stages/{part}.py" for part in runpy.run_path(str(script)).get("STAGES", ())]
    packages = {path.relative_to(STUDIES).parts[0] for path in all_imports(script) if path.is_relative_to(STUDIES)}
    needed = needed_rooms([script, *of_pipeline])
    code = {Path(os.path.normpath(folder / dep)) for dep in stage["deps"] if "${" not in dep}
    rooms = {path.relative_to(STUDIES / "rooms").as_posix() for path in code if path.is_relative_to(STUDIES / "rooms")}
    others = {path for path in code if path.suffix == ".py" and not path.is_relative_to(STUDIES / "rooms")}
    assert others == {script, *of_pipeline}
    assert {path.name for path in code if path.parent == STUDIES} == packages
    assert not [room for room in needed if not within(room, rooms)]
    assert not [room for room in rooms if room not in needed and not any(within(other, [room]) for other in needed)]


@pytest.mark.parametrize("study", DAGS)
def test_a_stage_lists_knobs_that_there_are(study: str):
    """A knob that was renamed would stop a study when it is next run."""
    for name, stage in DAGS[study]["stages"].items():
        for listed in stage.get("params", []):
            files = listed if isinstance(listed, dict) else {"params.yaml": [listed]}
            for file, keys in files.items():
                values = YAML(typ="safe").load(STUDIES / study / file)
                for key in keys or []:
                    section = values
                    for part in re.split(r"\.(?![^{]*})", key):
                        # Any entry of a mapping that a matrix goes through
                        part = next(iter(section)) if part.startswith("${item.") else part
                        assert part in section, (name, file, key)
                        section = section[part]


@pytest.mark.parametrize("study", DAGS)
def test_a_stage_runs_the_working_copys_code(study: str):
    """The source itself first on the path, then the studies' packages; `rooms` is a link that DVC alone follows."""
    for stage in DAGS[study]["stages"].values():
        if "python" in stage["cmd"]:
            source, packages = stage["cmd"].split()[0].removeprefix("PYTHONPATH=").split(":")
            assert (STUDIES / study / source).resolve() == ROOT / "src"
            assert (STUDIES / study / packages).resolve() == STUDIES
    assert (STUDIES / "rooms").resolve() == ROOT / "src/trcgl"


def test_the_extended_study_is_beside_the_core_studys_trcgl():
    study = load_study(STUDIES / "ablation/extended")
    assert study.arms["trcgl"].overrides == CORE.arms["trcgl"].overrides
    assert set(study.seeds) <= set(CORE.seeds)
    assert (study.learning_rates, study.data, study.resamples) == (CORE.learning_rates, CORE.data, CORE.resamples)
    assert study.params().compute == CORE.params().compute
    others = [name for name in study.arms if name != "trcgl"]
    assert matrices("ablation/extended") == {"learning_rate": others, "arm": others}
    assert all(study.arms[name].references == ("trcgl",) for name in others)
    assert all(study.arms[name].learning_rate_of == name for name in others)


def test_extended_arms_differ_in_what_they_are_about_alone():
    study = load_study(STUDIES / "ablation/extended")
    trcgl = study.arm_params("trcgl", 3, Chosen(0.004)).classifier
    for name, arm in study.arms.items():
        knobs = study.arm_params(name, 3, Chosen(0.004)).classifier
        changed = {key for key in vars(knobs) if getattr(knobs, key) != getattr(trcgl, key)}
        assert changed <= {key.removeprefix("classifier.") for key in arm.overrides}
        assert knobs.extra_source == "none"
        assert knobs.epochs + knobs.retrain_head_epochs == trcgl.epochs + trcgl.retrain_head_epochs
        repeats = (knobs.sampler, knobs.repeat_threshold) != (trcgl.sampler, trcgl.repeat_threshold)
        assert (arm.steps_like == "trcgl") == repeats
    for part in ("gate", "attention", "graph"):
        knobs = study.arm_params(f"{part}_only", 0).classifier
        strengths = {key: getattr(knobs, f"{key}_strength") for key in ("gate", "attention", "graph")}
        assert strengths.pop(part) is None, "the head's own"
        assert set(strengths.values()) == {0}


def with_paths(folder: Path) -> Study:
    """The study of real X-rays as a user would set it."""
    copied = folder / "studies/real_xrays"
    copied.mkdir(parents=True)
    shutil.copytree(ROOT / "presets", folder / "presets")
    shutil.copy(ROOT / "params.yaml", folder)
    for name in ("params.yaml", "arms.yaml"):
        shutil.copy(STUDIES / "real_xrays" / name, copied)
    paths = {"root.dataset.images": "/data/nih/images", "root.dataset.labels": "/data/nih/labels.csv"}
    set_params(copied / "params.yaml", paths)
    return load_study(copied)


def test_the_confirmation_has_the_core_studys_arms_on_data_of_its_own():
    study = load_study(STUDIES / "confirmation")
    assert JUDGE in study.arms
    rivals = [arm for arm in study.arms if arm != "default"]
    assert matrices("confirmation") == {"learning_rate": rivals, "head_arm": rivals, "default_arm": ["default"]}
    assert set(study.arms["default"].references) == set(rivals)
    assert {arm: study.arms[arm].overrides for arm in rivals} == {arm: CORE.arms[arm].overrides for arm in rivals}
    assert study.data == study.folder / "data" != CORE.data
    shipped, rates = checked(study.shipped, study.name), study.learning_rates
    default = study.arm_params("default", 0)
    assert replace(default.classifier, seed=shipped.classifier.seed) == shipped.classifier
    assert len(set(rates.seeds) - set(study.seeds)) == 3
    assert min(rates.grid) < shipped.classifier.lr < max(rates.grid)
    assert default.dataset != load_params(ROOT / "params.yaml").dataset


def test_the_heads_on_real_xrays_differ_in_the_head_alone(tmp_path: Path):
    """One recipe, that of the presets: the default is what they ship; the others change what a head reads."""
    study = with_paths(tmp_path)
    assert matrices("real_xrays") == {"arm": list(study.arms)}
    assert DAGS["real_xrays"]["stages"]["arm"]["matrix"]["fold"] == list(range(read_yaml(study.file)["folds"]))
    shipped = checked(study.shipped, study.name).classifier
    own = {"head", "extra_source", "row_length", "gate_strength", "attention_strength", "attention_temperature",
           "graph_strength", "adjacency", "adjacency_threshold", "csra_lambda"}  # fmt: skip
    for arm in study.arms:
        knobs = study.arm_params(arm, 3).classifier
        changed = {key for key in vars(knobs) if getattr(knobs, key) != getattr(shipped, key)} - {"seed"}
        assert changed <= ({"extra_source"} if arm.startswith("default") else own)
        assert (knobs.seed, knobs.extra_source) == (3, "none")
    heads = {arm for arm, entry in study.arms.items() if entry.group == "heads"}
    assert set(study.arms["default"].references) == heads
    assert {arm for arm, entry in study.arms.items() if entry.more_films} == {
        "linear_films",
        "linear_boxes",
        "default_boxes",
    }
    assert {arm for arm, entry in study.arms.items() if entry.boxes} == {"linear_boxes", "default_boxes"}
    trcgl = study.arm_params("trcgl", 0).classifier
    core = CORE.arm_params("trcgl", 0).classifier
    assert all(
        getattr(trcgl, key) == getattr(core, key) for key in own - {"csra_lambda", "extra_source"} if key != "adjacency"
    )


def test_the_studies_write_different_files(tmp_path: Path):
    folders = [STUDIES / name for name in ("ablation", "ablation/extended", "confirmation")]
    names = [load_study(folder).name for folder in folders] + [with_paths(tmp_path).name]
    assert len(set(names)) == len(names)
    results = (ROOT / "docs/results.md").read_text()
    assert all(f"<!-- {name}:begin -->" in results for name in names)


def test_real_xrays_ask_for_their_folder():
    with pytest.raises(InputError, match=r"real_xrays/params.yaml: 'root.dataset.images' is empty; set it to a path"):
        load_study(STUDIES / "real_xrays")


@pytest.mark.parametrize(
    ("more", "boxes", "said"),
    [
        (
            {"images": "/f", "labels": None, "scored": False},
            "/b.csv",
            "'more_films.labels' is empty beside 'more_films.im",
        ),
        (
            {"images": None, "labels": "/l.csv", "scored": False},
            None,
            "'more_films.images' is empty beside 'more_films.la",
        ),
        (
            {"images": None, "labels": None, "scored": True},
            "/b.csv",
            "'more_films.scored' is true, but 'more_films.images'",
        ),
        (
            {"images": "/f", "labels": "/l.csv", "scored": True},
            None,
            "'boxes' is empty; a made tail of films with boxes",
        ),
    ],
)
def test_films_and_boxes_that_a_study_needs_are_asked_for(more: dict[str, object], boxes: str | None, said: str):
    with pytest.raises(InputError, match=f"^params.yaml: {said}"):
        check_films({"more_films": more, "boxes": boxes, "made_tail": 12}, "params.yaml")
    check_films(
        {"more_films": {"images": "/f", "labels": "/l.csv", "scored": True}, "boxes": "/b", "made_tail": 12}, "p"
    )
    for study in ("real_xrays", "real_xrays/made_tail"):
        check_films(read_yaml(STUDIES / study / "params.yaml"), "p")


@pytest.mark.parametrize(
    ("script", "arm", "steps"),
    [
        ("ablation/pretrain_backbone.py", "base_images", "data/labels/labels.parquet"),
        ("stage_one/train_arm.py", "base_films", "data/labels/labels.parquet"),
        ("stage_one/train_arm.py", "real_only", None),
    ],
)
def test_a_training_on_other_films_takes_the_steps_of_the_real_ones(
    script: str, arm: str, steps: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As the script hands them to the trainer; where nothing is stated, the trainer counts its own images."""
    of_study = load_study(STUDIES / script.partition("/")[0])
    study = replace(of_study, folder=tmp_path, data=tmp_path / "data", base=tmp_path / "base")
    asked: list[object] = []

    def noted(*_: object, steps_per_epoch: object = None, **__: object) -> None:
        asked.append(steps_per_epoch)
        raise Stopped(15)

    monkeypatch.setattr(runs, "steps_on_real_images", lambda knobs, files: f"{files.labels.relative_to(tmp_path)}")
    monkeypatch.setattr(Study, "chosen", lambda study, arm: AS_SHIPPED)
    main = runpy.run_path(str(STUDIES / script))["main"]
    for name, value in {
        "load_study": lambda *_: study,
        "keep_state_in_studies": lambda: None,
        "train_and_save": noted,
    }.items():
        monkeypatch.setitem(main.__globals__, name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [script, arm, "101"])
    with pytest.raises(Stopped):
        main()
    assert asked == [steps]


def test_a_preset_lies_over_the_params_file_and_the_study_over_both(tmp_path: Path):
    study = tmp_path / "study"
    study.mkdir()
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "preset.yaml").write_text("dataset: {name: nih, seed: 7}\nclassifier: {backbone_options: {}}\n")
    (study / "params.yaml").write_text(
        "name: mine\nparameters: [../params.yaml, ../preset.yaml]\ndata: ../data\nroot: {dataset: {seed: 8}}\n"
    )
    pipeline, root = load_pipeline(study), load_params(ROOT / "params.yaml")
    params = pipeline.params({"classifier.seed": 9})
    assert (params.dataset.name, params.dataset.seed, params.classifier.seed) == ("nih", 8, 9)
    assert (params.classifier.backbone_options, params.images) == ({}, root.images)
    assert pipeline.shipped["dataset"]["seed"] == 7
    assert pipeline.data == tmp_path / "data"
    (study / "params.yaml").write_text("name: mine\nparameters: [../params.yaml]\ndata: .\nroot: {dataset: {sed: 8}}\n")
    with pytest.raises(InputError, match=r"params.yaml, root: unknown key 'dataset.sed'; did you mean 'seed'\?"):
        load_pipeline(study).params()


def test_bases_saw_other_patients_and_tail_findings_only_where_that_is_said():
    settings = read_yaml(STUDIES / "pretrain/params.yaml")
    shipped = CORE.params()
    taken = {shipped.dataset.seed, load_pipeline(STUDIES / "confirmation").params().dataset.seed}
    hospitals = {name: load_pipeline(STUDIES / "pretrain", name).params() for name in settings["data_sets"]}
    for hospital in hospitals.values():
        assert hospital.dataset.seed not in taken
        assert hospital.images == shipped.images
    tail = {name: sum(hospital.dataset.phantom.train_tail_positives or (1,)) for name, hospital in hospitals.items()}
    saw = {name: sum(tail[hospital] for hospital in base["data_sets"]) for name, base in settings["bases"].items()}
    assert {name for name, count in saw.items() if count} == {"informed", "informed_rotated"}
    assert saw["informed"] == saw["informed_rotated"]
    # The rotated hospital and the one without differ from the far one in nothing else
    far = hospitals["far"]
    for name in ("far_rotated", "far_without"):
        positives = hospitals[name].dataset.phantom.train_tail_positives
        phantom = replace(far.dataset.phantom, train_tail_positives=positives)
        assert hospitals[name] == replace(far, dataset=replace(far.dataset, phantom=phantom))
    assert CORE.base is not None
    assert CORE.base.resolve() == load_pipeline(STUDIES / "pretrain", "near").data


def test_an_arm_that_needs_another_brings_it(tmp_path: Path):
    for name in ("ablation", "confirmation"):
        shutil.copytree(
            STUDIES / name, tmp_path / "studies" / name, ignore=shutil.ignore_patterns("runs", "data", "ext*")
        )
    shutil.copy(ROOT / "params.yaml", tmp_path)
    folder = tmp_path / "studies/confirmation"
    for only, message in (
        (["bce_linear", "duplicates"], "arm 'duplicates' needs 'trcgl', which is no arm there"),
        (["bce_linear", "resnet"], "'only' names 'resnet', which is no arm of"),
    ):
        set_params(folder / "params.yaml", {"only": only})
        with pytest.raises(InputError, match=message):
            load_study(folder)


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


def test_another_asset_or_image_is_another_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A killed run must not sample from a generator that was fine-tuned from another base or other images."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(generator, "ROOT", tmp_path)
    data, base, judge = tmp_path / "study/data", tmp_path / "data/assets/base/model.safetensors", tmp_path / "judge"
    read = [*(data / part for part in generator.READ), base, judge / "model", tmp_path / "stages/sample_tail.py"]
    for file in (*read, *(tmp_path / "stages" / f"{stage}.py" for stage in generator.STAGES)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("one")
    study = replace(CORE, data=data)
    folders = []

    def stop(*arguments: object) -> Path:
        folders.append(arguments[-1].folder)  # pyright: ignore[reportAttributeAccessIssue]
        raise InputError("stopped")

    monkeypatch.setattr(generator, "run_stages", stop)

    def start() -> None:
        with (
            pytest.raises(InputError, match="stopped"),
            generator.drawn_images("a", study, {}, judge, tmp_path / "out"),
        ):
            pass

    start()
    start()
    assert folders[0] == folders[1]
    for file in read:
        file.write_text("another")
        start()
    assert len(set(folders)) == 1 + len(read)


ROOT_PIPELINE = """
stages:
  make:
    cmd: mkdir -p data/made && grep k params.yaml > data/made/k && cp params.yaml metrics.yaml
    params: [k]
    outs: [data/made]
    metrics: [metrics.yaml: {cache: false}]
"""


@pytest.mark.slow
def test_the_root_knows_nothing_of_the_studies(tmp_path: Path):
    """What a user does in a fresh clone, with one stage in place of the pipeline."""
    start, clone, remote = (tmp_path / name for name in ("start", "clone", "remote"))
    start.mkdir()
    copy_studies(start)
    for name in (".dvc/config", ".dvcignore"):
        (start / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, start / name)
    (start / ".gitignore").write_text("/data/\n")
    (start / "dvc.yaml").write_text(ROOT_PIPELINE)
    (start / "params.yaml").write_text("k: 1\n")
    run(start, "git", "init", "-q", "-b", "main")
    for project in (start, clone):
        if project is clone:
            run(start, "git", "clone", "-q", ".", str(clone))
        run(project, "git", "config", "user.email", "test@example.org")
        run(project, "git", "config", "user.name", "test")
        run(project, "dvc", "remote", "add", "--local", "-d", "there", str(remote))
        if project is start:
            run(start, "dvc", "repro", "-q")
            commit(start, "run")
            run(start, "dvc", "push", "-q")
    said = {
        command: run(clone, "dvc", *command.split())
        for command in (
            "pull", "checkout", "status", "dag", "repro", "exp run -n more -S k=2", "exp show --csv", "metrics diff",
            "metrics show", "plots show", "checkout --force", "exp apply more", "exp save -n again",
        )
    }  # fmt: skip
    assert "up to date" in said["status"]
    assert "2" in said["metrics diff"]
    for command, text in said.items():
        assert not [word for word in ("studies", "ablation", "WARNING", "ERROR") if word in text], (command, text)


STAND_IN = """
import sys, time
from pathlib import Path
stage = Path(sys.argv[0]).stem
with Path("ran").open("a") as ran:
    print(stage, file=ran)
if stage == "parse_labels" and not Path("PLACE/go").exists():
    Path("PLACE/waits").touch()
    time.sleep(60)
for name in ("labels", "images/diffusion", "graph"):
    Path("data", name).mkdir(parents=True, exist_ok=True)
    Path("data", name, "made").write_text(Path("ran").read_text())
"""


@pytest.mark.slow
def test_a_killed_study_continues_where_it_was(tmp_path: Path):
    """Its state is in studies/.resume, also of what runs inside it, and goes when it is done."""
    project = copy_project(tmp_path / "project")
    studies = copy_studies(project)
    for script in (project / "stages").glob("*.py"):
        script.write_text(STAND_IN.replace("PLACE", str(tmp_path)))
    commit(project, "studies")
    command = ["dvc", "repro", "-q", "pretrain/dvc.yaml:data@near"]
    running = subprocess.Popen(command, cwd=studies, env=environment(), start_new_session=True)
    until = time.monotonic() + 60
    while not (tmp_path / "waits").exists():
        assert running.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert list(studies.glob(".resume/pretrain-near-data/*/state-*.pt"))
    assert not (studies / "pretrain/data/near").exists()
    (tmp_path / "go").touch()
    run(studies, *command)
    ran = (studies / "pretrain/data/near/graph/made").read_text().split()
    assert ran == ["make_phantom", "scan_images", "parse_labels", "parse_labels", "cache_images", "build_cooccurrence"]
    assert not list(studies.glob(".resume/pretrain-near-data/*"))
    assert not (project / ".resume").exists()
    assert "studies" not in run(project, "git", "status", "--short").replace("studies/pretrain/dvc.lock", "")
