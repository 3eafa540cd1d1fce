"""How a base generator is named. This is apart from the loading code, so that it does not import torch."""

from pathlib import Path


def is_hub_id(base: str) -> bool:
    """Whether `diffusion.base` is a hub id `owner/name`: neither a folder nor written as a path."""
    return base.count("/") == 1 and not base.startswith((".", "/", "~")) and not Path(base).expanduser().is_dir()
