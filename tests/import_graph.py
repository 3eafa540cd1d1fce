"""Which source files a stage script really imports; `python tests/import_graph.py` prints them as dvc.yaml deps."""

import ast
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"


def _file_of(module: str) -> Path | None:
    """The file of a module of this project, or None for a library or a name inside a module."""
    base = SOURCE.joinpath(*module.split("."))
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
            if parts[0] != "trcgl":
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


def code_deps(script: Path) -> list[str]:
    """What dvc.yaml lists as code of a stage: its script, then its modules, relative to the repository root."""
    modules = sorted(path.relative_to(ROOT).as_posix() for path in all_imports(script))
    return [script.relative_to(ROOT).as_posix(), *modules]


def rewrite_dvc_yaml(path: Path = ROOT / "dvc.yaml") -> None:
    """Replace each stage's code deps in a dvc.yaml by what its script imports; data deps and comments stay."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 1000
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(path)
    for name, stage in document["stages"].items():
        data = [dep for dep in stage["deps"] if not str(dep).startswith(("src/", "stages/"))]
        stage["deps"] = code_deps(ROOT / "stages" / f"{name}.py") + data
    yaml.dump(document, path)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        rewrite_dvc_yaml()
    else:
        for stage_script in sorted((ROOT / "stages").glob("*.py")):
            print(f"{stage_script.stem}:")
            for dep in code_deps(stage_script):
                print(f"      - {dep}")
