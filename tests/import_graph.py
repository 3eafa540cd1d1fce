"""Which source files a stage script really imports; `python -m tests.import_graph --write` puts them into dvc.yaml."""

import ast
import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
JOINT = ROOT / "studies" / "code"
_NAMES = ("code", "ablation", "ablation/extended", "confirmation", "real_xrays")
STUDIES = tuple(ROOT / "studies" / name for name in _NAMES)
WITH_CODE = (ROOT / "dvc.yaml", *(folder / "dvc.yaml" for folder in STUDIES))
_SCRIPT = re.compile(r"stages/\w+\.py$")


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


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def code_deps(folder: Path, stage: dict[str, Any]) -> list[str]:
    """What a dvc.yaml in `folder` lists as code of a stage: its scripts, then their modules.

    The scripts are those of its command, and those of `stages/` that it lists because its script runs them. A matrix,
    which is many stages, lists their joint hash instead.
    """
    commanded = re.findall(r"\S+\.py\b", stage["cmd"])
    if "matrix" in stage:
        return [_relative(JOINT / f"{Path(script).stem}.json", folder) for script in commanded]
    run = [*commanded, *(dep for dep in stage["deps"] if _SCRIPT.search(dep))]
    scripts = [(folder / script).resolve() for script in dict.fromkeys(run)]
    modules = sorted(set().union(*map(all_imports, scripts)))
    return [_relative(path, folder) for path in (*scripts, *modules)]


def _is_code(dep: str) -> bool:
    return dep.endswith(".py") or re.search(r"(^|/)code/\w+\.json$", dep) is not None


def listed_code(stage: dict[str, Any]) -> list[str]:
    return [dep for dep in stage["deps"] if _is_code(dep)]


def rewrite_dvc_yaml(path: Path) -> None:
    """Replace each stage's code deps in a dvc.yaml by what its script imports; data deps and comments stay."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 1000
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(path)
    for stage in document["stages"].values():
        data = [dep for dep in stage["deps"] if not _is_code(dep)]
        stage["deps"] = code_deps(path.parent, stage) + data
    yaml.dump(document, path)


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.import_graph --write")
    for file in WITH_CODE:
        rewrite_dvc_yaml(file)
