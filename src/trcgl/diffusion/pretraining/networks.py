"""The three untrained networks of a small base generator, and the pipeline that is assembled from them."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from trcgl.diffusion.generator.stock import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from trcgl.diffusion.pretraining.settings import PretrainParams
from trcgl.numerics.seeding import seed_of
from trcgl.runtime.errors import InputError


def seeded(build: Callable[[], nn.Module], *parts: str | int) -> Any:
    """`build()` with initial weights that depend on `parts` alone. The global random state is restored afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(*parts))
        return build()


def _groups(channels: Sequence[int]) -> int:
    return math.gcd(8, *channels)


def build_autoencoder(size: int, channels: Sequence[int], latent_channels: int) -> Any:
    """An autoencoder with levels = len(channels); a latent is size / 2 ** (levels - 1) wide.

    The middle block has no attention, so that the autoencoder can be trained on crops. Residual branches start at zero,
    so that the first steps learn the nearly linear part.
    """
    levels = len(channels)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=tuple(channels),
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=_groups(channels),
        sample_size=size,
        scaling_factor=1.0,
        mid_block_add_attention=False,
    )
    for name, parameter in vae.named_parameters():
        if ".conv2." in name:
            nn.init.zeros_(parameter)
    return vae


def build_text_encoder(tokenizer: Any, width: int, layers: int) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 32),
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def build_unet(latent_side: int, latent_channels: int, channels: Sequence[int], width: int) -> Any:
    """A U-Net with attention to the text on all levels but the finest, where it would cost more than all the rest."""
    deeper = len(channels) - 1
    return UNet2DConditionModel(
        sample_size=latent_side,
        in_channels=latent_channels,
        out_channels=latent_channels,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * deeper),
        up_block_types=(*("CrossAttnUpBlock2D",) * deeper, "UpBlock2D"),
        block_out_channels=tuple(channels),
        layers_per_block=1,
        cross_attention_dim=width,
        attention_head_dim=4,
        norm_num_groups=_groups(channels),
    )


def check_sizes(params: PretrainParams, size: int) -> None:
    """Raise an InputError unless the channels and levels fit the image size and the text width is allowed."""
    for key, channels in (("autoencoder", params.autoencoder_channels), ("unet", params.unet_channels)):
        if len(channels) < 2 or min(channels) < 1:
            raise InputError(f"'{key}_channels' is {list(channels)}; it must be two or more positive numbers")
    deepest = 2 ** (len(params.autoencoder_channels) + len(params.unet_channels) - 2)
    if size % deepest:
        raise InputError(f"'images.diffusion_size' is {size}; the generator's levels need a multiple of {deepest}")
    if params.text_width > 32 and params.text_width % 32:
        raise InputError(f"'text_width' is {params.text_width}; above 32 it must be a multiple of 32")


def assemble(vae: Any, tokenizer: Any, sizes: PretrainParams, image_size: int, seed: int) -> Any:
    """A pipeline of a trained autoencoder with an untrained text encoder and U-Net."""
    text_encoder = seeded(lambda: build_text_encoder(tokenizer, sizes.text_width, sizes.text_layers), seed, "text")
    side = image_size // 2 ** (len(sizes.autoencoder_channels) - 1)
    unet = seeded(lambda: build_unet(side, sizes.latent_channels, sizes.unet_channels, sizes.text_width), seed, "unet")
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDPMScheduler(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012,
            prediction_type="v_prediction", clip_sample=False, steps_offset=1,
            # Trailing starts at the last timestep; leading would start at nine tenths, where some signal is left
            timestep_spacing="trailing",
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
