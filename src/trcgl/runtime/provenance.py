"""Which code made an artifact."""

import subprocess
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def commit_of_code() -> str:
    """Commit of the repository that this package lies in, with "+ changes" when it is not clean; or "unknown"."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", ".")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit} + changes" if changed else commit


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=PACKAGE, capture_output=True, text=True, check=True)
    return done.stdout.strip()
