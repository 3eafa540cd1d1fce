"""Low-rank adapters (LoRA, Hu et al., arXiv 2106.09685) on the U-Net and, optionally, on the text encoder."""

import textwrap
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import cast_training_params
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import nn

from trcgl.diffusion.generator.lora_layers import TEXT_LAYERS, UNET_LAYERS
from trcgl.diffusion.generator.stock import StableDiffusionPipeline
from trcgl.numerics.seeding import seed_of
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import tensor_kinds

WEIGHTS = "pytorch_lora_weights.safetensors"


def check_matches(pipeline: Any, layers: Sequence[str], *, with_text: bool) -> None:
    """Raise an InputError unless the U-Net (and, if `with_text`, the text encoder) has layers of each kind."""
    unet = {name for name, _ in pipeline.unet.named_modules()}
    there = [kind for kind in UNET_LAYERS if _named(unet, UNET_LAYERS[kind])]
    remedy = f"it has: {', '.join(there)}" if there else "it has none that can be adapted: give another base"
    for kind in layers:
        if kind not in there:
            raise InputError(
                f"'diffusion.lora_layers': the base's U-Net has no layer of '{kind}' ({', '.join(UNET_LAYERS[kind])}); "
                f"{remedy}"
            )
    if with_text and not _named({name for name, _ in pipeline.text_encoder.named_modules()}, TEXT_LAYERS):
        raise InputError(
            f"'diffusion.text_lora_rank': the base's text encoder has none of the layers {', '.join(TEXT_LAYERS)}; set "
            "it to 0"
        )


def _named(modules: Collection[str], targets: Sequence[str]) -> bool:
    """Whether peft would find a module by one of these names: it looks at the end of a dotted path."""
    return any(name == target or name.endswith(f".{target}") for name in modules for target in targets)


def add_lora(module: Any, rank: int, targets: Sequence[str], *seed: str | int) -> list[nn.Parameter]:
    """Add adapters to the named layers, and freeze everything else.

    Returns:
        The adapters' parameters, in float32 because half precision loses small updates.
    """
    module.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(*seed))
        module.add_adapter(
            LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=list(targets))
        )
    cast_training_params(module, torch.float32)
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def save_lora(folder: Path, unet: Any, text_encoder: Any | None) -> None:
    """Write the adapters in diffusers' format; `StableDiffusionPipeline.load_lora_weights(folder)` reads them."""
    parts = {"unet_lora_layers": unet} | ({"text_encoder_lora_layers": text_encoder} if text_encoder else {})
    # With peft's names: with the older diffusers names, the loader misses attention layers if there are convolutions
    StableDiffusionPipeline.save_lora_weights(
        folder, **{key: get_peft_model_state_dict(part, save_embedding_layers=False) for key, part in parts.items()}
    )


def load_lora(pipeline: Any, folder: Path, *, with_text: bool) -> None:
    """Load all saved adapters into a pipeline.

    Raises:
        InputError: they do not fit its networks.
    """
    saved = sum(name.endswith(".lora_A.weight") for name in tensor_kinds(folder / WEIGHTS))
    try:
        if with_text:
            pipeline.load_lora_weights(str(folder), weight_name=WEIGHTS)
        else:
            # Not the pipeline's own loader: it also looks for a text encoder adapter and warns that there is none
            pipeline.unet.load_lora_adapter(str(folder), weight_name=WEIGHTS, prefix="unet")
    except (RuntimeError, ValueError, KeyError) as error:
        reason = textwrap.shorten(str(error) or type(error).__name__, 160, placeholder=" ...")
        raise _other_base(folder, reason) from None
    parts = [pipeline.unet, *([pipeline.text_encoder] if with_text else [])]
    loaded = sum(name.endswith("lora_A") for part in parts for name, _ in part.named_modules())
    if loaded != saved:
        raise _other_base(folder, f"{loaded} of {saved} adapters found their layer")


def _other_base(folder: Path, reason: str) -> InputError:
    return InputError(
        f"{folder / WEIGHTS}: the adapters do not fit the base that {folder / 'trcgl.json'} names; it may be another "
        f"one by now ({reason}); put that base back, or run dvc repro finetune_diffusion"
    )
