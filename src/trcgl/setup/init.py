"""Write params.yaml for a data set: the shipped file with overlays applied; comments are kept or come from overlays.

The shipped file is the newest committed version that was not written by this module. So one data set can follow
another, and a run's parameters may be committed. If git has no such version, it is the present file, unless that was
written by this module.
"""

import io
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Self
from unicodedata import category

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from trcgl.config import overlay
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import write_text
from trcgl.runtime.plain_paths import plain_path
from trcgl.runtime.settings import parse_yaml, read_text
from trcgl.setup.presets import SHIPPED, overlay_files, usual_scale

FILE = Path("params.yaml")
COMMENTS_FROM = 40
"""The column in which params.yaml has its comments."""
PATHS = ("images", "labels", "boxes", "box_sizes")
"""Keys of the section dataset that options give."""
NOT_WRITABLE = ("Cc", "Cs", "Zl", "Zp")
"""Kinds of characters: control, half of a pair (for a byte that is not UTF-8), line and paragraph separators."""
WRITTEN = re.compile(r"^# Written by `trcgl init (.*)`\.$", re.MULTILINE)


@dataclass(frozen=True)
class Setup:
    """A data set, its files, and the scale of machine for which it is set up.

    Attributes:
        images, labels: absolute paths; both None for the phantom, which renders its own images.
        scale: one of presets.SCALES.
        boxes, box_sizes: absolute paths; None: there are none.
    """

    dataset: str
    images: str | None
    labels: str | None
    scale: str
    boxes: str | None = None
    box_sizes: str | None = None

    @classmethod
    def asked(
        cls,
        dataset: str,
        images: Path | None,
        labels: Path | None,
        scale: str | None,
        boxes: Path | None,
        box_sizes: Path | None,
    ) -> Self:
        """A setup from the user's options, with absolute paths and a default scale.

        Raises:
            InputError: images or labels are missing; any path is given for the phantom; sizes are given without boxes;
                a path cannot be written into a YAML file.
        """
        given = {"--images": images, "--labels": labels, "--boxes": boxes, "--box-sizes": box_sizes}
        if dataset == SHIPPED and any(given.values()):
            raise InputError(f"trcgl init {SHIPPED}: the pipeline draws its images; leave out {', '.join(given)}")
        if dataset != SHIPPED and not (images and labels):
            raise InputError(f"trcgl init {dataset}: give both --images DIR and --labels FILE")
        if box_sizes and not boxes:
            raise InputError(f"trcgl init {dataset}: --box-sizes is given without --boxes; give both, or neither")
        paths = {name: _absolute(path) for name, path in zip(PATHS, given.values(), strict=True)}
        for option, path in zip(given, paths.values(), strict=True):
            if any(category(letter) in NOT_WRITABLE or letter in "\ufffe\uffff" for letter in path or ""):
                raise InputError(
                    f"trcgl init {dataset}: {option} {path!a}: {FILE} cannot hold a path with a line end, another "
                    "control character or bytes that are not UTF-8; rename the folder or file"
                )
        return cls(dataset, scale=scale or usual_scale(dataset), **paths)

    @property
    def paths(self) -> dict[str, str]:
        """Key of the params file, without its section -> path."""
        return {name: path for name in PATHS if (path := getattr(self, name)) is not None}

    def __str__(self) -> str:
        options = [word for name, path in self.paths.items() for word in (f"--{name.replace('_', '-')}", path)]
        return shlex.join([self.dataset, *options, "--scale", self.scale])


def _absolute(path: Path | None) -> str | None:
    """The absolute path without resolving links: a link inside the project may lead to another disk tomorrow."""
    return None if path is None else plain_path(path.expanduser())


def write_params(setup: Setup, *, force: bool = False) -> None:
    """Write params.yaml in the current folder.

    Raises:
        InputError: there is no shipped file to start from; an overlay is missing or wrong; or params.yaml has
            changes that are in no commit and would be lost (`force` overwrites them).
    """
    present, committed = read_text(FILE) if FILE.exists() else None, _committed("HEAD")
    shipped = _shipped(present)
    # The shipped file is the present one where git has none
    in_git = present in (None, committed) or (committed is not None and present == shipped)
    if not (force or in_git or _as_written(present or "", shipped)):
        known = "has changes that are not committed" if committed is not None else "is in no commit that git finds here"
        raise InputError(f"{FILE}: {known}, and what it holds would be lost; commit it, or overwrite it with --force")
    write_text(FILE, _text(setup, shipped))


def _shipped(present: str | None) -> str:
    """The text of the shipped params file, to which the overlays apply."""
    commits = _git("log", "--format=%H", "--", str(FILE)) or ""
    for text in (*map(_committed, commits.split()), present):
        if text is not None and not WRITTEN.search(text):
            return text
    raise InputError(
        f"{FILE}: the shipped one is neither here nor in git's history; run in the project's folder, or put it back"
    )


def _as_written(text: str, shipped: str) -> bool:
    """Whether a params file was written by this module for some setup and has not been changed since."""
    found = WRITTEN.search(text)
    try:
        dataset, *options = shlex.split(found[1]) if found else []
        given = dict(zip(options[::2], options[1::2], strict=True))
        paths = {name: given.get(f"--{name.replace('_', '-')}") for name in PATHS}
        setup = Setup(dataset, scale=given["--scale"], **paths)
        return text == _text(setup, shipped)
    except (InputError, KeyError, ValueError):
        return False


def _committed(commit: str) -> str | None:
    return _git("show", f"{commit}:./{FILE}")


def _git(*arguments: str) -> str | None:
    """The output of git, or None if the command fails."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        return None


def _text(setup: Setup, shipped: str) -> str:
    """The params file of a setup; the phantom's at the scale cpu is the shipped one."""
    files = overlay_files(setup.dataset, setup.scale)
    if not files:
        return shipped
    values = parse_yaml(shipped, FILE, comments=True)
    for file in files:
        changes = parse_yaml(read_text(file), file, comments=True)
        overlay(values, changes, str(file))
        _take_comments(values, changes)
    values["dataset"] |= setup.paths
    scale, *data_set = files
    title = [line for file in (*data_set, scale) for line in _title(read_text(file))]
    body = _written(values).splitlines()
    return "\n".join([*title, f"# Written by `trcgl init {setup}`.", *body[len(_title("\n".join(body))) :], ""])


def _title(text: str) -> list[str]:
    """The comment lines at the start of a file."""
    return list(takewhile(lambda line: line.startswith("#"), text.splitlines()))


def _take_comments(values: CommentedMap, changes: CommentedMap) -> None:
    """Copy the overlay's comments to its keys in `values`; lines below a comment, such as a heading, stay."""
    for key, changed in changes.items():
        if isinstance(changed, CommentedMap) and values[key] is not changed:
            _take_comments(values[key], changed)
        new, old = _comment_behind(changes, key), _comment_behind(values, key)
        if new:
            below = old.partition("\n")[2]
            values.yaml_add_eol_comment(new.partition("\n")[0] + ("\n" + below if below else ""), key, COMMENTS_FROM)


def _comment_behind(values: CommentedMap, key: str) -> str:
    """The comment on the line of a key, with the lines below it that are comments or empty."""
    token = values.ca.items.get(key, [None] * 3)[2]
    return "" if token is None else token.value


def _written(values: CommentedMap) -> str:
    yaml = YAML()
    yaml.width = sys.maxsize
    yaml.preserve_quotes = True
    yaml.representer.add_representer(
        type(None), lambda made, _: made.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    written = io.StringIO()
    yaml.dump(values, written)
    return written.getvalue()
