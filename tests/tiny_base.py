"""Untrained base generators of the stock classes with the right shapes, built in a second."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import diffusers

from trcgl.diffusion.generator.base_parts import quiet_libraries
from trcgl.diffusion.generator.stock import DDPMScheduler, StableDiffusionPipeline
from trcgl.diffusion.pretraining.networks import build_autoencoder, build_text_encoder, build_unet, seeded
from trcgl.diffusion.pretraining.words import word_tokenizer

stock: Any = diffusers
SIZE = 16


@cache
def shared_base(size: int = SIZE) -> Path:
    """One base per process, for tests that need any."""
    return tiny_base(Path(tempfile.mkdtemp(prefix="tiny-base-")), "v_prediction", size)


def tiny_base(folder: Path, kind: str, size: int = SIZE) -> Path:
    """A Stable Diffusion 1.5 (noise, PNDM) or 2.1 (velocity, DDPM) folder with tiny parts."""
    tokenizer = word_tokenizer(["chest x-ray, pa view, l view, unknown, pleural effusion, azygos lobe, no finding"], 77)
    common = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}
    scheduler = (
        stock.PNDMScheduler(skip_prk_steps=True, prediction_type="epsilon", **common)
        if kind == "epsilon"
        else DDPMScheduler(prediction_type="v_prediction", clip_sample=False, **common)
    )
    pipeline = StableDiffusionPipeline(
        vae=seeded(lambda: build_autoencoder(size, (8, 8), 4), "vae"),
        text_encoder=seeded(lambda: build_text_encoder(tokenizer, 16, 1), "text"),
        tokenizer=tokenizer,
        unet=seeded(lambda: build_unet(size // 2, 4, (8, 8), 16), "unet"),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    with quiet_libraries():
        pipeline.save_pretrained(folder)
    return folder
