"""What the documentation shows is run: a page's blocks, one after the other, in a copy of a finished tiny project."""

import importlib.util
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.doc_pages import PAGES, RUN, SHOWN, blocks, films, inline_commands
from tests.doc_project import make_project, run_block, s3_server
from tests.import_graph import ROOT
from trcgl.cli import main
from trcgl.config import load_params
from trcgl.phantom.population import draw_population

STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
WITH_COMMANDS = [page for page in PAGES if any(b.language in RUN and b.reason is None for b in blocks(page))]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("documentation"))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


def test_blocks_and_commands_are_found():
    """What the other tests go through is there."""
    assert len(WITH_COMMANDS) > 5
    assert sum(len(list(blocks(page))) for page in PAGES) > 30
    assert sum(len(list(inline_commands(page))) for page in PAGES) > 60


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_says_what_it_is(page: Path):
    for block in blocks(page):
        where = f"{name(page)}:{block.line}"
        assert block.language in RUN + SHOWN, f"{where}: fence it as one of {RUN}, which are run, or {SHOWN}"
        assert block.reason != "", f"{where}: say why: <!-- no-test: reason -->"


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name)
def test_every_block_runs(page: Path, finished: Path, server: str):
    project = finished.parent / page.stem
    shutil.copytree(finished, project, symlinks=True)
    for block in blocks(page):
        if block.language in RUN and block.reason is None:
            done = run_block(project, block.language, block.text, server)
            output = done.stdout + done.stderr
            assert done.returncode == 0, f"{name(page)}:{block.line}:\n{output[-4000:]}"
            # A clone takes what others have computed
            assert "git clone" not in block.text or "Running stage" not in output, f"{name(page)}:{block.line}"


def test_films_that_are_shown_are_readable_test_images_of_the_embedded_data_set():
    dataset = load_params(ROOT / "params.yaml").dataset
    population = draw_population(dataset.seed, dataset.phantom)
    assert films()
    assert films() <= {image.view.image for image in population if image.split == "test" and image.spoiled is None}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_in_the_text_name_what_exists(page: Path, capsys: pytest.CaptureFixture[str]):
    """Subcommands and their options, modules, make's targets, DVC's stages and files, parameters."""
    for command in inline_commands(page):
        words = shlex.split(command)
        where = f"{name(page)}: {command}"
        match words:
            case ["trcgl", subcommand, *rest]:
                with pytest.raises(SystemExit):
                    main([subcommand, "--help"])
                usage = capsys.readouterr().out
                assert all(word in usage for word in rest if word.startswith("--")), where
            case ["python", "-m", module, *_]:
                assert importlib.util.find_spec(module) is not None, where
            case ["make", target, *_]:
                assert f"\n{target}:" in (ROOT / "Makefile").read_text(), where
            case ["dvc", "repro" | "commit" | "status", *targets]:
                assert all(t.startswith("-") or t in STAGES or (ROOT / t).exists() for t in targets), where
            case ["dvc", "exp", "run", *rest]:
                pairs = (word.split("=", 1) for word in rest if "=" in word)
                load_params(ROOT / "params.yaml", {key: YAML(typ="safe").load(value) for key, value in pairs})
            case ["accelerate", *rest]:
                assert all((ROOT / word).exists() for word in rest if word.startswith("stages/")), where
