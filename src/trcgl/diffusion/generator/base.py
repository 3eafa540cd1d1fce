"""The base generator: a Stable Diffusion shaped pipeline from the hub or from a folder.

Latent diffusion (Rombach et al., arXiv 2112.10752). Stable Diffusion 1.5, 2.1 and RoentGen-v2 have this shape; they
differ in width and in what the U-Net predicts (noise or velocity), which the scheduler's own configuration says.
"""

import json
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import logging as diffusers_logging
from torch import Tensor, nn
from transformers import CLIPTextModel
from transformers.utils import logging as transformers_logging

from trcgl.diffusion.generator.hub import is_hub_id
from trcgl.diffusion.generator.stock import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from trcgl.runtime.errors import InputError

COMPONENTS = {"vae": AutoencoderKL, "unet": UNet2DConditionModel, "text_encoder": CLIPTextModel}
SMALL_BASE = 64 * 2**20
"""Bytes; Stable Diffusion has five thousand million."""
PREDICTIONS = ("epsilon", "v_prediction")


@contextmanager
def no_library_bars() -> Iterator[None]:
    """Switch the libraries' loading and saving bars off for a while: they fill the logs of queues and CI."""
    libraries: list[Any] = [diffusers_logging, transformers_logging]
    for library in libraries:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in libraries:
            library.enable_progress_bar()


def load_pipeline(base: str, revision: str | None, *, size: int, dtype: torch.dtype) -> Any:
    """Load a base generator without a safety checker and check that it fits.

    Args:
        base: a diffusers folder or a hub id `owner/name`.
        revision: commit, branch or tag of a hub id.
        size: side of the images in pixels (`images.diffusion_size`).
        dtype: of the frozen weights.

    Raises:
        InputError: the folder is missing or no such pipeline, the hub id is neither cached nor reachable, weights are
            not in safetensors, or the generator draws another size.
    """
    local = not is_hub_id(base)
    if local:
        _check_folder(Path(base))
    try:
        with no_library_bars():
            pipeline = StableDiffusionPipeline.from_pretrained(
                str(Path(base).expanduser()) if local else base,
                revision=None if local else revision,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                safety_checker=None,
                feature_extractor=None,
                requires_safety_checker=False,
            )
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        reason = textwrap.shorten(str(error) or type(error).__name__, 120, placeholder=" ...")
        place = "the folder" if local else f"the hub id (revision {revision or 'main'})"
        wanted = "a complete diffusers folder in safetensors" if local else "one that is cached, or allow the download"
        raise InputError(f"diffusion.base: {place} '{base}' cannot be loaded; give {wanted} ({reason})") from None
    check_fit(pipeline, base, size)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def cast(part: nn.Module, dtype: torch.dtype) -> None:
    """Change the precision of a network of a pipeline; its own `to` warns of layers to be kept where there are none."""
    nn.Module.to(part, dtype)


def is_small_folder(base: str) -> bool:
    """Whether a base is a local folder small enough to be copied into every generator made from it."""
    folder = Path(base).expanduser()
    return folder.is_dir() and sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= SMALL_BASE


def _check_folder(folder: Path) -> None:
    folder = folder.expanduser()
    if not folder.is_dir():
        raise InputError(
            f"diffusion.base: no folder '{folder}'; give a diffusers folder, a hub id owner/name, or "
            "null to leave stage one out"
        )
    index = folder / "model_index.json"
    try:
        kind = json.loads(index.read_text(encoding="utf-8")).get("_class_name")
    except (OSError, ValueError, AttributeError):
        raise InputError(
            f"diffusion.base: '{folder}' is not a diffusers pipeline (no readable model_index.json)"
        ) from None
    if kind != "StableDiffusionPipeline":
        raise InputError(f"diffusion.base: '{folder}' holds a {kind}; a StableDiffusionPipeline is needed")


def check_fit(pipeline: Any, base: str, size: int) -> None:
    """Raise an InputError unless the parts belong together and draw `size` pixels."""
    for name, kind in COMPONENTS.items():
        part = getattr(pipeline, name)
        if not isinstance(part, kind):
            raise InputError(
                f"diffusion.base: the {name} of '{base}' is a {type(part).__name__}; needed: {kind.__name__}"
            )
    vae, unet, text = pipeline.vae.config, pipeline.unet.config, pipeline.text_encoder.config
    if vae.latent_channels != unet.in_channels:
        raise InputError(
            f"diffusion.base: '{base}' has {vae.latent_channels} latent channels in its autoencoder but "
            f"{unet.in_channels} in its U-Net; they must agree"
        )
    if vae.shift_factor:
        raise InputError(
            f"diffusion.base: the autoencoder of '{base}' shifts its latents by {vae.shift_factor}, which Stable "
            "Diffusion 1 and 2 do not; give a base of theirs"
        )
    if text.hidden_size != unet.cross_attention_dim:
        raise InputError(
            f"diffusion.base: '{base}' has a text encoder of width {text.hidden_size} but a U-Net that attends to "
            f"{unet.cross_attention_dim}; they must agree"
        )
    drawn = unet.sample_size * pipeline.vae_scale_factor
    if drawn != size:
        raise InputError(
            f"diffusion.base: '{base}' draws {drawn} px but images.diffusion_size is {size}; set it to {drawn}"
        )
    prediction = pipeline.scheduler.config.prediction_type
    if prediction not in PREDICTIONS:
        raise InputError(f"diffusion.base: '{base}' predicts '{prediction}'; known: {', '.join(PREDICTIONS)}")


def noise_schedule(pipeline: Any) -> Any:
    """The base's own noise schedule in its training form; keeps betas, prediction type and zero-terminal rescaling."""
    return DDPMScheduler.from_config(pipeline.scheduler.config)


def latent_size(pipeline: Any) -> tuple[int, int, int]:
    """Channels, height and width of a latent."""
    side = pipeline.unet.config.sample_size
    return pipeline.unet.config.in_channels, side, side


def as_rgb(pixels: Tensor) -> Tensor:
    """Grey uint8 [n, S, S] -> float32 [n, 3, S, S] in -1..1: three equal channels, as a stock autoencoder takes."""
    return (pixels.float() / 127.5 - 1)[:, None].expand(-1, 3, -1, -1)
