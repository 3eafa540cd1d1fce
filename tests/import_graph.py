"""Which source files a script really imports, and which rooms (folders of src/trcgl) these lie in."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
PACKAGE = SOURCE / "trcgl"
STUDIES = ROOT / "studies"
LAYERS: tuple[tuple[str, ...], ...] = (
    ("runtime",),
    ("config.py", "numerics", "metrics.py", "tables.py"),
    ("artifacts",),
    ("phantom", "images", "labels", "graph"),
    ("places", "diffusion/generator", "classifier/network"),
    ("diffusion/finetuning", "diffusion/sampling", "classifier/training", "audit", "evaluation"),
    ("diffusion/pretraining", "report", "inference", "doctor", "setup"),
    ("cli.py",),
)
"""The rooms from the lowest to the highest: a room imports only lower ones."""
HEIGHT = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}
IN_NO_LIST = {"runtime", "config.py"}
"""Rooms that no stage lists: how a stage behaves, and values that `params` tracks."""


def room_of(file: Path) -> str | None:
    """The room of a source file; None for a package's own `__init__.py` above the rooms."""
    for place in (file, *file.parents):
        if place.is_relative_to(PACKAGE) and (name := place.relative_to(PACKAGE).as_posix()) in HEIGHT:
            return name
    return None


def _file_of(module: str) -> Path | None:
    """The file of a module of this project, or None for a library or a name inside a module."""
    for source in (SOURCE, STUDIES):
        base = source.joinpath(*module.split("."))
        for candidate in (base / "__init__.py", base.with_suffix(".py")):
            if candidate.exists():
                return candidate
    return None


@cache
def direct_imports(file: Path) -> frozenset[Path]:
    """Files of this project that `file` imports anywhere, functions included, with the packages above them."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import; the project imports by full name"
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] not in ("trcgl", "study", "comparison"):
                continue
            prefixes = (".".join(parts[:i]) for i in range(1, len(parts) + 1))
            found.update(path for prefix in prefixes if (path := _file_of(prefix)))
    return frozenset(found)


def all_imports(file: Path) -> set[Path]:
    """Files of this project that `file` imports, directly or through others."""
    reached: set[Path] = set()
    waiting = [file]
    while waiting:
        for found in direct_imports(waiting.pop()):
            if found not in reached:
                reached.add(found)
                waiting.append(found)
    return reached


def needed_rooms(scripts: list[Path]) -> set[str]:
    """The rooms that scripts import from and a stage that runs them must list."""
    rooms = {room_of(file) for script in scripts for file in all_imports(script) if file.is_relative_to(PACKAGE)}
    return {room for room in rooms if room is not None} - IN_NO_LIST
