"""How a base generator is named; apart from what loads it, so that asking costs no torch."""

from pathlib import Path


def is_hub_id(base: str) -> bool:
    """Whether `diffusion.base` is a hub id `owner/name`: neither a folder nor written as a path."""
    return base.count("/") == 1 and not base.startswith((".", "/", "~")) and not Path(base).expanduser().is_dir()
