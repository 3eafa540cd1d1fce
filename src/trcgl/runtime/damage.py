"""Report a file that was damaged after a stage wrote it in one line, which also says how to restore it."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trcgl.runtime.errors import InputError
from trcgl.runtime.outs import stage_outs

LFS = b"version https://git-lfs"


@contextmanager
def damage_explained(path: str | Path) -> Iterator[None]:
    """Turn any exception of a library that reads `path` into one line.

    An InputError, and errors for a missing file, a lack of permission or a path that is not a folder, stay as they are.

    Raises:
        InputError: the file is cut short, overwritten or of another kind.
    """
    try:
        yield
    except (InputError, FileNotFoundError, PermissionError, NotADirectoryError):
        raise
    except Exception as error:  # libraries raise many undocumented exceptions for damaged files
        raise damaged(path, str(error) or type(error).__name__) from error


def is_lfs_pointer(path: str | Path) -> bool:
    """Whether a file is a Git LFS pointer, which replaces a large file and holds its hash and size."""
    try:
        with Path(path).open("rb") as handle:
            return handle.read(len(LFS)) == LFS
    except OSError:
        return False


def damaged(path: str | Path, reason: str) -> InputError:
    """The error for a damaged file: what is wrong with it, and how to restore it."""
    if is_lfs_pointer(path):
        return InputError(f"{path}: a pointer of Git LFS, not the file; fetch it with `git lfs pull`")
    stage = _stage_that_writes(Path(path))
    remedy = "replace it with an intact one"
    if stage is not None:
        # Delete first: DVC considers a file with the recorded size and time intact, and asks before overwriting others
        remedy = (
            f"delete it, then restore it with dvc checkout {path} or make it again with dvc repro --force "
            f"--single-item {stage}"
        )
    return InputError(f"{path}: damaged or cut short ({textwrap.shorten(reason, 120, placeholder=' ...')}); {remedy}")


def _stage_that_writes(path: Path) -> str | None:
    """The stage in the dvc.yaml of the current folder that has the file, or a folder above it, as an out."""
    for name, outs in stage_outs().items():
        if any(path.absolute().is_relative_to(Path(out).absolute()) for out in outs):
            return name
    return None
