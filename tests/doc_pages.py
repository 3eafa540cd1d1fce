"""What README.md and docs/ show: code blocks, and commands in running text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.import_graph import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN = ("sh", "python")
SHOWN = ("text", "csv", "yaml", "mermaid")
COMMAND = re.compile(r"(?:PYTHONPATH=src )?(?=(?:dvc|trcgl|make|python -m|accelerate) )")
FILM = re.compile(r"\bdata/phantom/images/([\w-]+\.png)")
_MARKER = re.compile(r"<!--\s*no-test(?P<reason>.*?)-->\s*", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        line: number of its first line in the page.
        language: what the fence says; empty for an indented block.
        reason: why it is not run; None if it is run, empty if the marker gives no reason.
    """

    line: int
    language: str
    text: str
    reason: str | None


def blocks(page: Path) -> list[Block]:
    tokens = _tokens(page)
    found = []
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            marker = _MARKER.fullmatch(before.content) if before is not None and before.type == "html_block" else None
            reason = None if marker is None else marker["reason"].removeprefix(":").strip()
            found.append(Block(token.map[0] + 1, token.info.strip(), token.content, reason))
    return found


def films() -> set[str]:
    """Names of the embedded data set's films that the pages show."""
    return {name for page in PAGES for name in FILM.findall(page.read_text(encoding="utf-8"))}


def inline_commands(page: Path) -> Iterator[str]:
    """Code in running text and in tables that starts like a command."""
    for token in _tokens(page):
        for child in token.children or []:
            if child.type == "code_inline" and (start := COMMAND.match(child.content)):
                yield child.content[start.end() :]


def _tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
