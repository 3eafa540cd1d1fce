"""The base generator: a pipeline with the architecture of Stable Diffusion, from the hub or from a folder.

Latent diffusion (Rombach et al., arXiv 2112.10752). Stable Diffusion 1.5, 2.1 and RoentGen-v2 have this architecture.
They differ in width and in what the U-Net predicts (noise or velocity); the scheduler's configuration says which.
"""

import shutil
import textwrap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trcgl.diffusion.generator.base_files import check_base_files, sides_of, single_variants
from trcgl.diffusion.generator.base_fit import check_fit
from trcgl.diffusion.generator.base_parts import COMPONENTS, load_part, quiet_libraries
from trcgl.diffusion.generator.hub import is_hub_id
from trcgl.diffusion.generator.stock import DDPMScheduler, StableDiffusionPipeline
from trcgl.runtime.errors import InputError

SMALL_BASE = 64 * 2**20
"""Bytes; Stable Diffusion has about 5 * 10**9."""
LEFT_OUT: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "image_encoder": None}


def load_pipeline(
    base: str,
    revision: str | None,
    *,
    size: int,
    dtype: torch.dtype,
    autoencoder: torch.dtype | None = None,
    key: str = "'diffusion.base'",
) -> Any:
    """Load a base generator without a safety checker, and check that it is complete and its parts fit.

    Args:
        base: a diffusers folder or a hub id `owner/name`.
        revision: commit, branch or tag of a hub id.
        size: side of the images in pixels (`images.diffusion_size`).
        dtype: of the frozen weights.
        autoencoder: dtype of the autoencoder; None: the same as `dtype`.
        key: the setting that named the base, for the messages.

    Raises:
        InputError: the folder is missing or is not such a pipeline, the hub id is neither cached nor reachable, weights
            are not in safetensors or incomplete, parts do not belong together, or the generator's image size differs.
    """
    folder = downloaded(base, revision, key) if is_hub_id(base) else Path(base).expanduser()
    variants = check_base_files(folder, key)
    kinds = dict.fromkeys(COMPONENTS, dtype) | ({} if autoencoder is None else {"vae": autoencoder})
    parts = {name: load_part(folder, name, variants[name], kinds[name], key) for name in COMPONENTS}
    try:
        with quiet_libraries():
            pipeline = StableDiffusionPipeline.from_pretrained(
                str(folder), **parts, **LEFT_OUT, trust_remote_code=False, requires_safety_checker=False
            )
    except Exception as error:  # of a tokenizer or scheduler that cannot be read; each library raises others
        reason = textwrap.shorten(str(error) or type(error).__name__, 160, placeholder=" ...")
        raise InputError(
            f"{key}: tokenizer or scheduler of '{base}' cannot be loaded; copy the whole base again ({reason})"
        ) from None
    check_fit(pipeline, base, size, key)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def downloaded(base: str, revision: str | None, key: str) -> Path:
    """The folder of a hub id in the local cache, downloaded if necessary; the fp16 variant if there is no other."""
    reasons = []
    for variant in (None, "fp16"):
        try:
            with quiet_libraries():
                return Path(
                    StableDiffusionPipeline.download(
                        base, revision=revision, variant=variant, use_safetensors=True, trust_remote_code=False,
                        **LEFT_OUT,
                    )
                )  # fmt: skip
        except Exception as error:  # a download fails in many ways, and each library on the way has its own exception
            reasons.append(textwrap.shorten(str(error) or type(error).__name__, 120, placeholder=" ..."))
    raise InputError(
        f"{key}: the hub id (revision {revision or 'main'}) '{base}' cannot be loaded, and there is no folder of that "
        f"name here; give one that is cached, with weights in safetensors, or allow the download ({reasons[0]})"
    )


def commit_of(pipeline: Any) -> str | None:
    """The commit that a base from the hub was loaded from: the name of its folder in the hub's cache; None if it is no
    such folder."""
    folder = Path(pipeline.name_or_path or "")
    return folder.name if folder.parent.name == "snapshots" else None


def cast(part: nn.Module, dtype: torch.dtype, device: str | torch.device | None = None) -> None:
    """Change the precision of a network of a pipeline. The network's own `to` gives a warning that does not apply here.

    Args:
        device: the target device; None: the network stays where it is.
    """
    nn.Module.to(part, device=device, dtype=dtype)


def is_small_folder(base: str) -> bool:
    """Whether a base is a local folder small enough to be copied into every generator made from it."""
    folder = Path(base).expanduser()
    return folder.is_dir() and sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= SMALL_BASE


def copy_base(base: str, folder: Path) -> None:
    """Copy a base. Weights that exist only as a variant (fp16) get the usual file name, so that diffusers finds them.

    Raises:
        InputError: see check_base_files.
    """
    shutil.copytree(Path(base).expanduser(), folder, dirs_exist_ok=True)
    for old, new in single_variants(folder, check_base_files(folder)):
        old.rename(new)


def noise_schedule(pipeline: Any) -> Any:
    """The base's own noise schedule in its training form; keeps betas, prediction type and zero-terminal rescaling."""
    return DDPMScheduler.from_config(pipeline.scheduler.config)


def latent_size(pipeline: Any) -> tuple[int, int, int]:
    """Channels, height and width of a latent."""
    side = sides_of(pipeline.unet.config.sample_size)[0]
    return pipeline.unet.config.in_channels, side, side


def as_input(pixels: Tensor, channels: int) -> Tensor:
    """Grey uint8 [n, S, S] -> float32 [n, channels, S, S] in -1..1, with equal channels (3 for a stock autoencoder)."""
    return (pixels.float() / 127.5 - 1)[:, None].expand(-1, channels, -1, -1)
