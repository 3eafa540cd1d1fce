"""The page of commands, generated from the commands; `python -m tests.command_page --write` renews it."""

import sys

from tests.import_graph import ROOT
from trcgl.cli import COMMANDS, Argument
from trcgl.runtime.files import replace_between

PAGE = ROOT / "docs/reference/commands.md"


def commands() -> str:
    """One section per command: what it does, its arguments in a table, an example."""
    parts = []
    for name, command in COMMANDS.items():
        rows = "".join(_row(argument) for argument in command.arguments)
        parts.append(
            f"## trcgl {name}\n\n{command.description}\n\n| argument | |\n|---|---|\n{rows}\n"
            f"```text\n{command.example}\n```\n"
        )
    return "\n".join(parts)


def _row(argument: Argument) -> str:
    flag, options = argument
    value = options.get("metavar") or (f"{{{','.join(options['choices'])}}}" if "choices" in options else "")
    shown = value if flag == "images" else f"{flag} {value}".strip()
    said = [options["help"]] if options.get("help") else []
    if options.get("required") or not flag.startswith("-"):
        said.append("required")
    elif options.get("default") not in (None, []) and "default" not in " ".join(said):
        said.append(f"default {options['default']}")
    if options.get("nargs") == "+":
        said.append("one or more")
    if options.get("action") == "append":
        said.append("can be given several times")
    return f"| `{shown}` | {'; '.join(said)} |\n"


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.command_page --write")
    replace_between(PAGE, "commands", commands())
