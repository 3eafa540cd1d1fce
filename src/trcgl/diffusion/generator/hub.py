"""How a base generator is named. This is apart from the loading code, so that it does not import torch."""

from pathlib import Path

from trcgl.runtime.errors import InputError


def is_hub_id(base: str) -> bool:
    """Whether `diffusion.base` is a hub id `owner/name`: neither a folder nor written as a path."""
    return base.count("/") == 1 and not base.startswith((".", "/", "~")) and not Path(base).expanduser().is_dir()


def check_revision(base: str, revision: str | None) -> None:
    """Raise an InputError if `diffusion.base_revision` is set although the base is no hub id."""
    if revision is not None and not is_hub_id(base):
        raise InputError(
            f"'diffusion.base_revision': '{revision}' is for a hub id, but 'diffusion.base' is the folder '{base}'; "
            "set base_revision to null"
        )
