"""The shape of the `trcgl` command: every subcommand's help, its example, and tab completion."""

import shlex
import subprocess

import pytest

from tests.command_page import PAGE, commands
from trcgl.cli import COMMANDS, main, parser


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_an_example_that_is_understood(name: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    example = COMMANDS[name].example
    # Long lines are wrapped
    assert "".join(capsys.readouterr().out.split()).endswith("".join(f"example: {example}".split()))
    program, *words = shlex.split(example)
    assert program == "trcgl"
    assert parser().parse_args(words).run is COMMANDS[name].run


def test_completion_is_a_script_that_bash_understands(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["--print-completion", "bash"])
    assert stop.value.code == 0
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS)
    registered = subprocess.run(
        ["bash", "-c", f"{script}\ncomplete -p trcgl"], capture_output=True, text=True, check=True
    ).stdout
    assert registered.startswith("complete ")


def test_the_page_of_commands_is_what_the_commands_say():
    assert commands() in PAGE.read_text(encoding="utf-8"), "run: python -m tests.command_page --write"
