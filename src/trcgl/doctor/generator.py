"""Check what stage one would stop at hours later: the base, its size, the prompts, the adapted layers."""

from collections.abc import Iterator
from pathlib import Path

from trcgl.artifacts.vocabulary import read_vocabulary
from trcgl.config import Params
from trcgl.diffusion.generator.base_files import WHOLE, check_base_files, check_untaught, sides_of
from trcgl.diffusion.generator.hub import check_revision, is_hub_id
from trcgl.diffusion.generator.lora_layers import check_layers
from trcgl.diffusion.generator.wording import Wording
from trcgl.doctor.hub_cache import cached_file, download_command
from trcgl.doctor.said import Said, problem, refused
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_json


def check_generator(params: Params) -> Iterator[Said]:
    """A base that cannot be used as a folder or at this size; prompts, phrases and layers that stage one refuses.

    A vocabulary that is missing is reported elsewhere.
    """
    base, revision, vocabulary = params.diffusion.base, params.diffusion.base_revision, params.labels.vocabulary
    if base is None:
        return
    for check in (
        lambda: Wording.of(params.diffusion),
        lambda: read_vocabulary(vocabulary) if Path(vocabulary).exists() else None,
        lambda: check_layers(params.diffusion.lora_layers),
        lambda: check_revision(base, revision),
    ):
        try:
            check()
        except InputError as error:
            yield refused("stage one", error)
    folder = _folder_of(base, revision)
    if folder is None or not folder.exists():
        return
    try:
        check_base_files(folder)
        check_untaught(folder)
    except InputError as error:
        fetch = f"run `{download_command(base, revision)}` first"
        yield refused("diffusion.base", InputError(str(error).replace(WHOLE, fetch)) if is_hub_id(base) else error)
        return
    drawn = _drawn_size(folder)
    if drawn is not None and drawn != params.images.diffusion_size:
        yield problem(
            "images.diffusion_size",
            f"is {params.images.diffusion_size}, but '{base}' draws {drawn} px; set it to {drawn}",
        )


def _folder_of(base: str, revision: str | None) -> Path | None:
    """The folder of a base, for a hub id in the hub's cache; None if the cache does not have it."""
    if not is_hub_id(base):
        return Path(base).expanduser()
    index = cached_file(base, revision, "model_index.json")
    return None if index is None else index.parent


def _drawn_size(folder: Path) -> int | None:
    """Side of the images that a base draws, as its configuration states it; None if it does not."""
    unet, vae = (read_json(folder / part / "config.json", []) for part in ("unet", "vae"))
    side, levels = sides_of(unet.get("sample_size"))[0], vae.get("block_out_channels")
    return side * 2 ** (len(levels) - 1) if isinstance(side, int) and isinstance(levels, list) else None
