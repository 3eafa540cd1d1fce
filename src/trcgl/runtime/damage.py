"""A file that cannot be read any more, though a stage once wrote it whole: one line, and how to get it back."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from trcgl.runtime.errors import InputError


@contextmanager
def damage_explained(path: str | Path) -> Iterator[None]:
    """Turn whatever a library raises when it reads `path` into one line; a missing file stays what it is.

    Raises:
        InputError: the file is cut short, overwritten or of another kind.
    """
    try:
        yield
    except (InputError, FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # libraries raise many kinds on damaged files, and promise none
        raise damaged(path, str(error) or type(error).__name__) from error


def damaged(path: str | Path, reason: str) -> InputError:
    """The line for a file of which it is known what is wrong with it."""
    stage = _stage_that_writes(Path(path))
    remedy = "put a whole one in its place"
    if stage is not None:
        # Deleted first: DVC takes a file whose size and time are right for whole, and overwrites no other unasked
        remedy = (
            f"delete it, then dvc checkout {path} brings it back, or dvc repro --force --single-item {stage} makes it "
            "anew"
        )
    return InputError(f"{path}: damaged or cut short ({textwrap.shorten(reason, 120, placeholder=' ...')}); {remedy}")


def _stage_that_writes(path: Path) -> str | None:
    """The stage in the dvc.yaml of the current folder that has the file, or a folder above it, as an out."""
    try:
        stages = YAML(typ="safe").load(Path("dvc.yaml"))["stages"]
    except (OSError, YAMLError, TypeError, KeyError):
        return None
    for name, stage in stages.items():
        for out in stage.get("outs", ()):
            out_path = Path(out if isinstance(out, str) else next(iter(out)))
            if path.absolute().is_relative_to(out_path.absolute()):
                return name
    return None
