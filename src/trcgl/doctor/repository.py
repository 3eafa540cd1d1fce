"""Check the project's folder as git and DVC see it: owner, write permissions, and files that a copy would lack."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from trcgl.doctor.said import Said, problem, warning
from trcgl.runtime.outs import stage_outs, unwritable

CONFLICT = re.compile(r"^<{7} ", re.MULTILINE)
LOCK = "dvc.lock"
VERSIONED = (LOCK, "dvc.yaml", "params.yaml")


def check_repository() -> Iterator[Said]:
    """Whether git, on which DVC depends, works here, and whether the outputs can be written."""
    try:
        asked = _git("rev-parse", "--verify", "HEAD")
    except OSError:
        yield problem("git", "is not installed, and DVC needs it; install git")
        return
    if "dubious ownership" in asked.stderr:
        yield problem(
            "git", f"{Path.cwd()} belongs to another user, so git and DVC refuse to work in it; if you trust it, run "
            f"`git config --global --add safe.directory {Path.cwd()}`",
        )  # fmt: skip
    elif "not a git repository" in asked.stderr:
        yield problem("git", f"{Path.cwd()} is in no git repository, and DVC needs one; get the project by `git clone`")
    elif asked.returncode:
        yield problem("git", "has no commit yet, and `dvc exp run` starts from one; run `git add -A && git commit`")
    for name, line in conflicts().items():
        # Any version of the lock file will do, because dvc repro rewrites it
        remedy = (
            f"take one side, such as by `git checkout --ours {name}`"
            if name == LOCK
            else "keep one version of each conflict and delete the lines with <<<<<<<, ======= and >>>>>>>"
        )
        yield problem(name, f"a merge has left conflicts in it (line {line}); {remedy}, then run dvc repro")
    for place in unwritable():
        yield problem("folder", f"{place} may not be written by this user; change its permissions or owner")


def conflicts() -> dict[str, int]:
    """File -> line of the first merge conflict in it."""
    found = {}
    for name in VERSIONED:
        if (file := Path(name)).is_file() and (mark := CONFLICT.search(text := file.read_text(errors="replace"))):
            found[name] = text.count("\n", 0, mark.start()) + 1
    return found


def check_committed(named: Mapping[str, str | None]) -> Iterator[Said]:
    """Data in the repository that queued experiments, which run in a copy of what is committed, will not find.

    Args:
        named: key -> path.
    """
    outs = [Path(out) for outs in stage_outs().values() for out in outs]
    for key, value in named.items():
        if value is None or Path(value).is_absolute() or not Path(value).exists():
            continue
        path = Path(os.path.normpath(value))
        above = [path, *path.parents]
        if path.parts[:1] == ("..",) or any(place in outs or Path(f"{place}.dvc").exists() for place in above):
            continue
        try:
            listed = _git("ls-files", "--", str(path))
        except OSError:
            # Without git: `check_repository` says so
            return
        if listed.returncode == 0 and not listed.stdout:
            yield warning(
                key, f"'{value}' is in the repository but not committed, so `dvc exp run --queue` and `--temp` do not "
                f"find it; give the absolute path {Path(value).absolute()}, or commit it",
            )  # fmt: skip


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    # In English, because the code reads the reason
    return subprocess.run(["git", *arguments], env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True)
