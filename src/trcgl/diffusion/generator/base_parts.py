"""Load the networks of a base, completely or not at all: the libraries fill missing tensors with random numbers."""

import logging
import re
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

from trcgl.diffusion.generator.stock import AutoencoderKL, UNet2DConditionModel
from trcgl.numerics.device import fp32_or, name_of
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger

log = get_logger("diffusion")

COMPONENTS: dict[str, Any] = {"vae": AutoencoderKL, "unet": UNet2DConditionModel, "text_encoder": CLIPTextModel}
HARMLESS = re.compile(
    r"(text_model\.)?embeddings\.position_ids"
    r"|vision_model\..*|visual_projection\..*|text_projection\..*|logit_scale"
)
"""Extra tensors that a text encoder's file may have: position ids (from older versions) and other parts of CLIP."""


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Switch the libraries' progress bars and warnings off in the block: bars fill the logs of queues and CI."""
    libraries: list[Any] = [diffusers_logging, transformers_logging]
    before = [library.get_verbosity() for library in libraries]
    for library in libraries:
        library.disable_progress_bar()
        library.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        for library, verbosity in zip(libraries, before, strict=True):
            library.enable_progress_bar()
            library.set_verbosity(verbosity)


def load_part(folder: Path, name: str, variant: str | None, dtype: torch.dtype, key: str) -> Any:
    """Load one network of a base.

    Args:
        name: a key of COMPONENTS.
        key: the beginning of a message.

    Raises:
        InputError: no network can be built from its configuration; or tensors are missing, unexpected, of another shape
            or not finite. The message names the first one.
    """
    place = f"{key}: the {name} of '{folder}'"
    try:
        with quiet_libraries():
            part, found = COMPONENTS[name].from_pretrained(
                str(folder), subfolder=name, variant=variant, dtype=dtype, use_safetensors=True,
                output_loading_info=True, ignore_mismatched_sizes=True,
            )  # fmt: skip
    except Exception as error:  # of a configuration that the library cannot build; each of its layers raises another
        reason = textwrap.shorten(str(error) or type(error).__name__, 160, placeholder=" ...")
        raise InputError(f"{place} cannot be loaded; copy the whole base again ({reason})") from None
    unexpected = [tensor for tensor in found["unexpected_keys"] if name != "text_encoder" or not HARMLESS.match(tensor)]
    # Each entry is the tensor's name and its two shapes
    shapes = [str(entry[0]) for entry in found["mismatched_keys"]]
    for what, tensors in (
        ("lacks the tensor", [tensor for tensor in found["missing_keys"] if tensor not in shapes]),
        ("has another shape than its config.json says in the tensor", shapes),
        ("has a tensor that its config.json does not know:", unexpected),
    ):
        if tensors:
            more = f" (and {len(tensors) - 1} more)" if len(tensors) > 1 else ""
            raise InputError(f"{place} {what} {min(tensors)}{more}; give a base whose files belong together")
    if variant is not None:
        log.info("the %s of '%s': its %s weights, the only ones there", name, folder, variant)
    _check_finite(part, place, dtype)
    return part


def _check_finite(part: nn.Module, place: str, dtype: torch.dtype) -> None:
    for name, tensor in part.state_dict().items():
        if tensor.is_floating_point() and tensor.numel() and not all(map(_finite, tensor.aminmax())):
            raise InputError(
                f"{place} has numbers that are not finite in {name} (read as {name_of(dtype)}); "
                f"{fp32_or(dtype, 'copy the whole base again')}"
            )


def _finite(value: Tensor) -> bool:
    return bool(value.isfinite())
