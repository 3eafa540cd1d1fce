"""Low-rank adapters (Hu et al., arXiv 2106.09685) on the U-Net and, if asked for, on the text encoder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import cast_training_params
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import nn

from trcgl.diffusion.generator.stock import StableDiffusionPipeline
from trcgl.numerics.seeding import seed_of
from trcgl.runtime.errors import InputError

UNET_LAYERS = {
    "attention": ["to_q", "to_k", "to_v", "to_out.0"],
    "feed_forward": ["ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"],
    "convolution": ["conv1", "conv2", "conv_shortcut", "conv_in", "conv_out", "time_emb_proj"],
}
TEXT_LAYERS = ["q_proj", "k_proj", "v_proj", "out_proj"]
WEIGHTS = "pytorch_lora_weights.safetensors"


def check_layers(layers: Sequence[str]) -> None:
    """Raise an InputError unless every name is one of UNET_LAYERS and there is one at least."""
    for name in layers:
        if name not in UNET_LAYERS:
            raise InputError(f"diffusion.lora_layers: '{name}'; known: {', '.join(UNET_LAYERS)}")
    if not layers:
        raise InputError(f"diffusion.lora_layers: empty; name one or more of: {', '.join(UNET_LAYERS)}")


def add_lora(module: Any, rank: int, targets: Sequence[str], *seed: str | int) -> list[nn.Parameter]:
    """Put adapters beside the named layers, freeze everything else.

    Returns:
        The adapters' parameters, float32: half precision loses small updates.
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
    # In peft's names: of the older diffusers names, the loader overlooks attention layers beside convolutions
    StableDiffusionPipeline.save_lora_weights(
        folder, **{key: get_peft_model_state_dict(part) for key, part in parts.items()}
    )


def load_lora(pipeline: Any, folder: Path, *, with_text: bool) -> None:
    """Put saved adapters into a pipeline."""
    if with_text:
        pipeline.load_lora_weights(str(folder), weight_name=WEIGHTS)
    else:
        # Not the pipeline's own loader: it also looks for a text encoder adapter and warns that there is none
        pipeline.unet.load_lora_adapter(str(folder), weight_name=WEIGHTS, prefix="unet")
