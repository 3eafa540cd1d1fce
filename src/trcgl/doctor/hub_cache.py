"""What the local cache of the hub has, and the command that adds the rest."""

from pathlib import Path

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError


def cached_file(name: str, revision: str | None, file: str) -> Path | None:
    """A file of a hub id in the cache; None if it is not there."""
    try:
        found = try_to_load_from_cache(name, file, revision=revision)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def download_command(name: str, revision: str | None) -> str:
    """The command that downloads a hub id."""
    return f"hf download {name}" + (f" --revision {revision}" if revision else "")
