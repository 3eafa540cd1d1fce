"""What an edit of the code marks as changed, by DVC itself: the stages that list its room, and no others."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.import_graph import ROOT
from tests.tiny_project import commit, copy_project, run, set_params, stand_in_stages

ROOMS = Path("src/trcgl")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished, committed run; what its stages compute is not asked here."""
    folder = copy_project(tmp_path_factory.mktemp("invalidation") / "project")
    stand_in_stages(folder)
    made = folder / "stand_in/data/phantom"
    made.mkdir(parents=True)
    for name in ("labels.csv", "splits.csv"):
        (made / name).touch()
    shutil.copytree(ROOT / "metrics", folder / "stand_in/metrics", ignore=shutil.ignore_patterns("plots", "*.md"))
    run(folder, "dvc", "repro", "--quiet")
    commit(folder, "run")
    return folder


@pytest.mark.parametrize(
    ("room", "file", "stages"),
    [
        ("classifier/training", "losses/asl.py", {"train_baseline", "train_classifier"}),
        ("classifier/training", "losses/new.py", {"train_baseline", "train_classifier"}),
        ("diffusion/sampling", "plan.py", {"sample_tail"}),
        ("report", "page.py", {"report"}),
        ("places", "boxes.py", {"read_boxes", "evaluate"}),
        ("runtime", "files.py", set()),
    ],
)
def test_an_edit_marks_the_stages_that_list_its_room(project: Path, room: str, file: str, stages: set[str]):
    path = project / ROOMS / room / file
    before = path.read_text() if path.exists() else None
    path.write_text(f"{before or ''}# edited\n")
    try:
        said = json.loads(run(project, "dvc", "status", "--json"))
    finally:
        path.unlink() if before is None else path.write_text(before)
    assert said == {stage: [{"changed deps": {str(ROOMS / room): "modified"}}] for stage in stages}


def test_what_python_and_editors_leave_in_a_room_marks_nothing(project: Path):
    left = [
        project / ROOMS / "labels" / name for name in ("__pycache__/nih.pyc", ".nih.py.swp", "nih.py~", ".DS_Store")
    ]
    left[0].parent.mkdir(exist_ok=True)
    for path in left:
        path.write_bytes(b"left")
    try:
        assert json.loads(run(project, "dvc", "status", "--json")) == {}
    finally:
        for path in left:
            path.unlink()


@pytest.mark.slow
def test_an_edited_file_that_a_parameter_may_name_marks_its_stage(project: Path, tmp_path: Path):
    """Outside the repository or in it; null names none."""
    kept = {name: (project / name).read_bytes() for name in ("params.yaml", "dvc.lock")}
    splits, classes = tmp_path / "splits.csv", project / "classes.csv"
    for file in (splits, classes):
        file.write_text("one\n")
    try:
        set_params(project / "params.yaml", {"dataset.split_file": None, "labels.class_table": None})
        run(project, "dvc", "repro", "--quiet")
        assert "up to date" in run(project, "dvc", "status")
        set_params(project / "params.yaml", {"dataset.split_file": str(splits), "labels.class_table": "classes.csv"})
        run(project, "dvc", "repro", "--quiet")
        assert "up to date" in run(project, "dvc", "status")
        for file in (splits, classes):
            file.write_text("two\n")
            (changed,) = json.loads(run(project, "dvc", "status", "--json", "parse_labels"))["parse_labels"]
            assert [Path(path).name for path in changed["changed deps"]] == [file.name]
            file.write_text("one\n")
    finally:
        classes.unlink()
        for name, content in kept.items():
            (project / name).write_bytes(content)


@pytest.mark.slow
def test_boxes_run_what_reads_them(project: Path, tmp_path: Path):
    """Other boxes train the classifier anew and judge it; nothing before, and no stage of the generator."""
    boxes, sizes, made = tmp_path / "boxes.csv", tmp_path / "sizes.csv", project / "stand_in/data/places/places.parquet"
    after = {"read_boxes", "train_classifier", "evaluate"}
    as_committed(project)
    try:
        for file in (boxes, sizes):
            file.write_text("one\n")
        set_params(project / "params.yaml", {"dataset.boxes": str(boxes), "dataset.box_sizes": str(sizes)})
        assert ran(run(project, "dvc", "repro")) == {*after, "report"}
        assert "up to date" in run(project, "dvc", "status")
        for file in (boxes, sizes):
            file.write_text("two\n")
            said = json.loads(run(project, "dvc", "status", "--json"))
            assert said == {"read_boxes": [{"changed deps": {str(file): "modified"}}]}
            # Other places come of it
            made.parent.mkdir(parents=True, exist_ok=True)
            made.write_text(f"of other {file.name}")
            # The stand-in of evaluate writes the same figures, so that the page stays
            assert ran(run(project, "dvc", "repro")) == after
        set_params(project / "params.yaml", {"classifier.place_weight": 0.0})
        assert ran(run(project, "dvc", "repro", "--dry")) == {"train_classifier", "report"}
    finally:
        shutil.rmtree(made.parent, ignore_errors=True)
        as_committed(project)


def as_committed(project: Path) -> None:
    """Parameters, lock and figures from git, the rest from DVC's cache."""
    run(project, "git", "checkout", "--quiet", ".")
    run(project, "dvc", "checkout", "--quiet", "--force")


def ran(output: str) -> set[str]:
    """Stages that DVC says it runs."""
    return set(re.findall(r"Running stage '(\w+)'", output))


@pytest.mark.slow
def test_the_table_of_experiments_fits_into_120_columns(project: Path):
    """`make experiments`: the figures that are asked for first, the knobs that differ, and no cell cut off."""
    text = (ROOT / "Makefile").read_text()
    values = dict(re.findall(r"^(\w+) := (.*)$", text, re.MULTILINE))
    command = re.search(r"^experiments:.*\n\t(.*)$", text, re.MULTILINE)
    assert command
    line = re.sub(r"\$\((\w+)\)", lambda match: values[match[1]], command[1]).replace("$$", "$")
    try:
        for name, change in (("longer", "classifier.epochs=2"), ("faster", "classifier.lr=0.25")):
            run(project, "dvc", "exp", "run", "--quiet", "--name", name, "-S", change)
        shown = run(project, "env", "COLUMNS=120", "sh", "-c", line)
    finally:
        run(project, "git", "checkout", "--quiet", ".")
        run(project, "dvc", "checkout", "--quiet")
    assert "…" not in shown
    rows = [row.split() for row in shown.splitlines()]
    figures = ["trcgl.mAP", "trcgl.tail_mAP", "gain.tail_mAP", "val.tail_mAP"]
    assert ["Experiment", *figures, "classifier.epochs", "classifier.lr"] in rows
    assert any("[longer]" in row and row[-2:] == ["2", "0.004"] for row in rows)
    # The second starts from what the first left in the workspace
    assert any("[faster]" in row and row[-2:] == ["2", "0.25"] for row in rows)
