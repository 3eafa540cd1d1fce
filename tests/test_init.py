"""`trcgl init`: what it starts from, what it keeps of params.yaml, and what it does not overwrite."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.test_presets import bare_project
from tests.tiny_project import commit, run, set_params
from trcgl.cli import main
from trcgl.config import load_params

NIH = ("nih", "--images", "images", "--labels", "labels.csv")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that git does not know, without any image."""
    folder = bare_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def project(bare: Path) -> Path:
    """With git's history of the shipped params.yaml."""
    run(bare, "git", "init", "-q", "-b", "main")
    run(bare, "git", "config", "user.email", "test@example.org")
    run(bare, "git", "config", "user.name", "test")
    commit(bare, "shipped")
    return bare


def init(*arguments: str) -> str:
    """Run it, whatever doctor finds; what params.yaml holds then."""
    main(["init", *arguments])
    return Path("params.yaml").read_text()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Why it is not done; params.yaml stays as it is."""
    before = Path("params.yaml").read_text()
    capsys.readouterr()
    assert main(["init", *arguments]) == 1
    assert Path("params.yaml").read_text() == before
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def body(text: str) -> list[str]:
    """The lines below the header."""
    return text[text.index("\ndataset:") :].splitlines()


def comments(lines: Iterable[str]) -> list[str]:
    """What stands behind the values, sorted."""
    return sorted(line.split(" #", 1)[1].strip() for line in lines if " #" in line)


def test_comments_of_what_stays_stay_and_others_are_the_overlays(project: Path):
    shipped, written = Path("params.yaml").read_text(), init(*NIH)
    pairs = list(zip(body(shipped), body(written), strict=True))
    assert all(old.split(":")[0] == new.split(":")[0] for old, new in pairs), "no line comes, goes or moves"
    changed = [new for old, new in pairs if old != new and not new.startswith(("  images:", "  labels:"))]
    overlays = "\n".join(Path("presets", name).read_text() for name in ("scale/cpu.yaml", "nih.yaml"))
    assert comments(changed) == comments(overlays.splitlines())
    assert all(line.index(" #") >= 39 for line in changed)
    assert written.startswith("# NIH ChestX-ray14 "), "the header is the overlays'"
    assert "The embedded default" not in written


def test_paths_become_absolute(project: Path):
    init("nih", "--images", "../set/./images", "--labels", "~/labels.csv")
    dataset = load_params().dataset
    assert dataset.images == f"{project.parent}/set/images"
    assert dataset.labels == str(Path.home() / "labels.csv")


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x85b", "a\u2028b", "a\udcffb", "a\x1bb", "a\uffffb"])
def test_a_path_that_no_yaml_file_can_hold_is_refused(name: str, project: Path, capsys: pytest.CaptureFixture[str]):
    before = Path("params.yaml").read_text()
    said = refused(capsys, "nih", "--images", f"/data/{name}", "--labels", "labels.csv")
    path = f"/data/{name}"
    assert f"--images {path!a}: params.yaml cannot hold a path with a line end" in said
    assert Path("params.yaml").read_text() == before


@pytest.mark.parametrize("name", ["a b", "a\u00a0b", "a: b #c", "\u5f71\u50cf", "'a\"", "{a}", "a\\b"])
def test_any_other_path_is_read_as_it_was_given(name: str, project: Path):
    init("nih", "--images", f"/data/{name}", "--labels", "labels.csv")
    assert load_params().dataset.images == f"/data/{name}"


def test_a_folder_above_a_link_is_that_above_its_target(project: Path):
    """As the system reaches it; without a link, `..` is collapsed."""
    for name in ("real/deep", "real/b", "mine/b"):
        (project / name).mkdir(parents=True)
    (project / "mine/link").symlink_to(project / "real/deep")
    init("nih", "--images", "mine/link/../b", "--labels", "mine/link/labels.csv")
    dataset = load_params().dataset
    assert (dataset.images, dataset.labels) == (f"{project}/real/b", f"{project}/mine/link/labels.csv")


def test_boxes_are_named_too(project: Path, capsys: pytest.CaptureFixture[str]):
    init(*NIH, "--boxes", "boxes.csv", "--box-sizes", "~/my sizes.csv")
    dataset = load_params().dataset
    assert dataset.boxes == f"{project}/boxes.csv"
    assert dataset.box_sizes == str(Path.home() / "my sizes.csv")
    assert "--box-sizes is given without --boxes" in refused(capsys, *NIH, "--box-sizes", "sizes.csv")
    assert "leave out --images, --labels, --boxes, --box-sizes" in refused(capsys, "phantom", "--boxes", "boxes.csv")


@pytest.mark.slow
def test_one_data_set_after_another_and_back(project: Path):
    shipped = Path("params.yaml").read_text()
    written = init(*NIH)
    assert init("padchest", *NIH[1:]) != written
    assert init(*NIH) == written, "nothing of the one is left in the other"
    assert init(*NIH, "--boxes", "boxes.csv", "--box-sizes", "sizes.csv") != written
    assert init(*NIH) == written, "nor boxes"
    commit(project, "our run on NIH")
    assert init("vindr", *NIH[1:], "--scale", "cpu") != written
    assert init(*NIH) == written, "the shipped file is taken from git's history"
    assert init("phantom") == shipped


def test_outside_of_git_nothing_is_lost(bare: Path, capsys: pytest.CaptureFixture[str]):
    """Nobody knows there whether params.yaml is the shipped one; overwritten by force, that is nowhere."""
    assert "is in no commit that git finds here, and what it holds would be lost; commit it, or" in refused(
        capsys, *NIH
    )
    init(*NIH, "--force")
    assert "the shipped one is neither here nor in git's history; run in the project's folder" in refused(capsys, *NIH)


@pytest.mark.slow
@pytest.mark.parametrize("first", [(), NIH])
def test_changes_that_would_be_lost_are_kept(project: Path, capsys: pytest.CaptureFixture[str], first: tuple[str, ...]):
    if first:
        init(*first)
    set_params(project / "params.yaml", {"classifier.lr": 0.5})
    assert "params.yaml: has changes that are not committed, and what it holds would be lost" in refused(capsys, *NIH)
    assert refused(capsys, "phantom") == refused(capsys, *NIH)
    changed = Path("params.yaml").read_text()
    assert init(*NIH, "--force") != changed
    assert load_params().classifier.lr == 0.0003
    Path("params.yaml").write_text(changed)
    commit(project, "ours")
    init("chexpert", *NIH[1:])
    assert load_params().dataset.name == "chexpert", "what is committed is not lost"


def test_a_header_that_somebody_edited_is_a_change(project: Path, capsys: pytest.CaptureFixture[str]):
    written = init(*NIH)
    for old, new in (("--scale cpu", "--scale"), ("init nih", "init openi"), ("init nih", "init 'nih")):
        Path("params.yaml").write_text(written.replace(old, new))
        assert "has changes that are not committed" in refused(capsys, *NIH)


def test_without_params_yaml_it_is_made_anew(project: Path):
    written = init(*NIH)
    Path("params.yaml").unlink()
    assert init(*NIH) == written


def test_wrong_requests_are_one_line(project: Path, capsys: pytest.CaptureFixture[str]):
    assert "trcgl init nih: give both --images DIR and --labels FILE" in refused(capsys, *NIH[:3])
    assert "trcgl init phantom: the pipeline draws its images" in refused(capsys, "phantom", *NIH[1:])
    Path("presets").unlink()
    assert "presets/scale/cpu.yaml: cannot be read" in refused(capsys, *NIH)
    Path("presets/scale").mkdir(parents=True)
    for name in ("scale/cpu", "nih"):
        Path(f"presets/{name}.yaml").write_text("classifier: {lrr: 1}\n")
    assert "presets/scale/cpu.yaml: unknown key 'classifier.lrr'; did you mean 'lr'?" in refused(capsys, *NIH)


def test_doctor_looks_at_what_was_written(project: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["init", *NIH]) == 1
    captured = capsys.readouterr()
    assert "ok       params: params.yaml is complete and valid" in captured.out
    assert f"problem  dataset.images: '{project}/images'" in captured.out
    assert "see above" in captured.err
