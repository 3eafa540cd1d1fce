"""Reads classes.json, which parse_labels writes."""

from pathlib import Path
from typing import Any

from trcgl.runtime.damage import damaged
from trcgl.runtime.files import read_json


def read_classes(path: str | Path) -> dict[str, Any]:
    """`classes` (a list of objects with `name`, `group` and counts), and the other entries of `Labels.classes`.

    Raises:
        InputError: the file is damaged, or an entry has no name or no group.
    """
    found = read_json(path, ["classes"])
    entries = found["classes"]
    if not isinstance(entries, list) or not all(isinstance(e, dict) and {"name", "group"} <= e.keys() for e in entries):
        raise damaged(path, "'classes' is not a list of findings with name and group")
    return found
