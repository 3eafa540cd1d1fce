"""Ways to spoil files and parameters of a good project."""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.input_cases.case import Spoil


def put(name: str, content: bytes | str) -> Spoil:
    return lambda folder: _write(folder / name, content)


def _write(path: Path, content: bytes | str) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def delete(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    return spoil


def cut(name: str, length: int = -40) -> Spoil:
    return lambda folder: _write(folder / name, (folder / name).read_bytes()[:length])


def folder_instead(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        delete(name)(folder)
        (folder / name).mkdir()

    return spoil


def params(**changes: Any) -> Spoil:
    """Sets values of params.yaml, given as `section__name`."""

    def spoil(folder: Path) -> None:
        values = json.loads((folder / "params.yaml").read_text())
        for key, value in changes.items():
            section, name = key.split("__", 1)
            values[section][name] = value
        (folder / "params.yaml").write_text(json.dumps(values, indent=1))

    return spoil


def substitute(name: str, old: str, new: str) -> Spoil:
    """Replaces the first occurrence of a text in a file."""

    def spoil(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text, old
        (folder / name).write_text(text.replace(old, new, 1))

    return spoil


def both(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        for one in spoils:
            one(folder)

    return spoil
