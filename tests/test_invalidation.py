"""What an edit of the code marks as changed, by DVC itself: the stages that list its room, and no others."""

import json
from pathlib import Path

import pytest

from tests.tiny_project import commit, copy_project, run, stand_in_stages

ROOMS = Path("src/trcgl")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished, committed run; what its stages compute is not asked here."""
    folder = copy_project(tmp_path_factory.mktemp("invalidation") / "project")
    stand_in_stages(folder)
    made = folder / "stand_in/data/phantom"
    made.mkdir(parents=True)
    (made / "labels.csv").touch()
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
