"""Absolute paths without `..`, which name the place that the system would reach."""

import os
from pathlib import Path


def plain_path(path: str | Path) -> str:
    """The path from the root, without `..`. Links stay as the user named them, except before a `..`.

    A `..` behind a link leads to the folder above the link's target, not above the link.
    """
    whole = Path.cwd() / path
    plain = os.path.normpath(whole)
    return plain if os.path.realpath(whole) == os.path.realpath(plain) else os.path.realpath(whole)
