"""Check that the parts of a base fit each other, and that this project can fine-tune such a base.

It must be latent diffusion as in Stable Diffusion 1 and 2: the U-Net is conditioned on time and text only, and predicts
noise or velocity. The inputs of other families (classes, sizes, a mask, another kind of noise) would be silently
ignored.
"""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from trcgl.diffusion.generator.base_files import sides_of
from trcgl.diffusion.generator.solver import solver_of
from trcgl.diffusion.generator.stock import DDPMScheduler
from trcgl.numerics.device import fp32_or, name_of
from trcgl.runtime.errors import InputError
from trcgl.runtime.memory import naming_the_knob

PREDICTIONS = ("epsilon", "v_prediction")
SCHEDULERS = (
    "DDPMScheduler", "DDPMParallelScheduler", "DDIMScheduler", "DDIMParallelScheduler", "PNDMScheduler",
    "LMSDiscreteScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler", "DPMSolverSDEScheduler", "DEISMultistepScheduler", "UniPCMultistepScheduler",
)  # fmt: skip
"""Schedulers with the noise of DDPM: a `DDPMScheduler` from their configuration adds the same noise in training."""
NOISE = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "prediction_type")
"""Settings of a scheduler that say what was learned."""
KEY = "'diffusion.base'"
STABLE_DIFFUSION = "a base of Stable Diffusion 1 or 2"
EXTRA_CHANNELS = {1: "a depth map", 5: "a mask and a masked image, for inpainting"}


def check_fit(pipeline: Any, base: str, size: int, key: str = KEY) -> None:
    """Raise an InputError unless the parts fit each other and generate images of `size` pixels a side."""
    for problem in _problems(pipeline, size):
        raise InputError(f"{key}: '{base}' {problem}")


def _problems(pipeline: Any, size: int) -> Iterator[str]:
    """The problems found, each as the rest of a sentence that begins with the base's name."""
    yield from _of_autoencoder(pipeline.vae.config)
    yield from _of_unet(pipeline.unet.config, pipeline.vae.config)
    yield from _of_text(pipeline)
    yield from _of_scheduler(pipeline.scheduler)
    yield from _of_size(pipeline, size)


def _of_autoencoder(vae: Mapping[str, Any]) -> Iterator[str]:
    channels = vae["in_channels"], vae["out_channels"]
    if channels not in ((1, 1), (3, 3)):
        yield (
            f"has an autoencoder that reads {channels[0]} channels and writes {channels[1]}; needed: 3 (colour) or 1 "
            "(grey), the same for both"
        )
    factor = vae.get("scaling_factor")
    if not isinstance(factor, int | float) or not 0 < factor < float("inf"):
        yield f"has an autoencoder whose scaling_factor is {factor!r}; needed: a number above 0 (in vae/config.json)"
    if vae.get("shift_factor"):
        yield (
            f"has an autoencoder that shifts its latents by {vae['shift_factor']} (shift_factor in vae/config.json); "
            f"give {STABLE_DIFFUSION}, which does not"
        )
    if vae.get("latents_mean") is not None or vae.get("latents_std") is not None:
        yield (
            "has an autoencoder with a mean or deviation per latent channel (latents_mean, latents_std in "
            f"vae/config.json); give {STABLE_DIFFUSION}, which has none"
        )


def _of_unet(unet: Mapping[str, Any], vae: Mapping[str, Any]) -> Iterator[str]:
    latent, reads, writes = vae["latent_channels"], unet["in_channels"], unet["out_channels"]
    if reads != latent:
        extra = reads - latent
        if writes == latent and extra > 0:
            meant = EXTRA_CHANNELS.get(extra, "another image, such as one to edit" if extra == latent else "more")
            yield (
                f"has a U-Net that reads {reads} channels, {latent} of the latent and {extra} of {meant}; give a base "
                "that draws from text alone"
            )
        yield f"has {latent} latent channels in its autoencoder but {reads} in its U-Net; they must agree"
    if writes != reads:
        yield (
            f"has a U-Net that reads {reads} channels and writes {writes} (as one that learns its variance); they "
            "must agree"
        )


def _of_text(pipeline: Any) -> Iterator[str]:
    text, words = pipeline.text_encoder.config, pipeline.tokenizer
    attended = pipeline.unet.config["cross_attention_dim"]
    widths = set(attended) if isinstance(attended, list | tuple) else {attended}
    if widths != {text.hidden_size}:
        yield (
            f"has a text encoder of width {text.hidden_size} but a U-Net that attends to "
            f"{' and '.join(map(str, sorted(widths, key=str)))}; they must agree"
        )
    if getattr(text, "use_attention_mask", False):
        yield (
            "has a text encoder that is told where a text ends (use_attention_mask in text_encoder/config.json), which "
            f"is not done here; give {STABLE_DIFFUSION}, which has none of it"
        )
    longest, places = words.model_max_length, text.max_position_embeddings
    if longest > places:
        said = "no model_max_length" if longest > 10**9 else f"model_max_length {longest}"
        yield (
            f"has a tokenizer with {said} but a text encoder of {places} tokens; set model_max_length to {places} in "
            "tokenizer/tokenizer_config.json"
        )
    largest = max(words.get_vocab().values(), default=-1)
    if largest >= text.vocab_size:
        yield (
            f"has a tokenizer with tokens up to number {largest} but a text encoder that knows {text.vocab_size}; they "
            "must be of one base"
        )
    if largest < 0 or words.pad_token_id is None:
        yield "has a tokenizer without a token to pad with (pad_token); name one in tokenizer/tokenizer_config.json"


def _of_scheduler(scheduler: Any) -> Iterator[str]:
    kind, settings = type(scheduler).__name__, scheduler.config
    if kind not in SCHEDULERS:
        yield f"has a {kind}, whose noise differs from that of Stable Diffusion 1 and 2; give {STABLE_DIFFUSION}"
        return
    flow = [name for name in ("use_flow_sigmas", "use_dynamic_shifting") if settings.get(name)]
    if flow:
        yield f"has a scheduler for flow matching ({flow[0]}); give {STABLE_DIFFUSION}"
    prediction = settings.get("prediction_type", "epsilon")
    if prediction not in PREDICTIONS:
        yield f"predicts '{prediction}', which is not taught here; give a base that predicts {' or '.join(PREDICTIONS)}"
        return
    # A class may have its own defaults, and those of the training scheduler would take their place
    taken = DDPMScheduler.from_config(settings).config
    absent = [name for name in NOISE if name in settings.get("_use_default_values", ())]
    own = {name: settings[name] for name in absent if settings[name] != taken[name]}
    if own and settings.get("trained_betas") is None:
        values = ", ".join(f"{name} {value}" for name, value in own.items())
        yield (
            f"has a {kind} without {' and '.join(own)} in scheduler/scheduler_config.json; write there what it was "
            f"trained with (its class has {values})"
        )
        return
    # Taken from the training scheduler: after rescaling, some samplers keep a tiny signal where training has none
    signal = DDPMScheduler.from_config(settings).alphas_cumprod
    steps = settings.get("num_train_timesteps")
    if len(signal) != steps or not len(signal):
        yield (
            f"has a noise schedule of {len(signal)} timesteps, and num_train_timesteps is {steps}; they must agree in "
            "scheduler/scheduler_config.json"
        )
        return
    if not bool(((signal >= 0) & (signal <= 1)).all()):
        yield "has betas outside 0..1 in scheduler/scheduler_config.json; copy the whole base again"
    if prediction == "epsilon" and float(signal[-1]) <= 0:
        yield (
            "predicts noise (epsilon) though its last timestep is nothing but noise (rescale_betas_zero_snr), from "
            "which no image follows; set prediction_type to v_prediction if it was trained so, or "
            "rescale_betas_zero_snr to false, in scheduler/scheduler_config.json"
        )
    try:
        solver_of(settings).set_timesteps(2)
    except Exception as error:  # every setting that the solver lacks has its own exception
        reason = textwrap.shorten(str(error) or type(error).__name__, 120, placeholder=" ...")
        yield f"has a noise schedule that the solver for drawing cannot follow ({reason}); give {STABLE_DIFFUSION}"


def _of_size(pipeline: Any, size: int) -> Iterator[str]:
    sides = sides_of(pipeline.unet.config["sample_size"])
    if len(set(sides)) != 1 or not isinstance(sides[0], int) or sides[0] < 1:
        said = pipeline.unet.config["sample_size"]
        yield (
            f"has a U-Net for latents of {said!r} (sample_size in unet/config.json); needed: one whole number, the "
            "side of a square"
        )
        return
    drawn = sides[0] * pipeline.vae_scale_factor
    if drawn != size:
        yield f"draws {drawn} px but 'images.diffusion_size' is {size}; set it to {drawn}"


@torch.no_grad()
def check_answers(pipeline: Any) -> None:
    """Run every network of `diffusion.base` once, on the device and in the precision of the run.

    Raises:
        InputError: a network fails, or its output is not finite.
    """
    vae, unet, tokenizer = pipeline.vae, pipeline.unet, pipeline.tokenizer
    side = sides_of(unet.config["sample_size"])[0] * pipeline.vae_scale_factor
    # A ramp from black to white, because a uniform grey image would be too easy a test of the autoencoder
    image = torch.linspace(-1, 1, side).expand(1, vae.config["in_channels"], side, side)
    ids = tokenizer([""], padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt").input_ids
    answers, asked = dict[str, torch.Tensor](), "text_encoder"
    try:
        with naming_the_knob("'images.diffusion_size', and give a base of that size"):
            answers[asked] = words = pipeline.text_encoder(ids.to(unet.device))[0]
            asked = "vae"
            latent = vae.encode(image.to(vae.device, vae.dtype)).latent_dist.mode()
            answers[asked] = vae.decode(latent).sample + latent.mean()
            asked = "unet"
            answers[asked] = unet(latent.to(unet.dtype), 500, words.to(unet.dtype)).sample
    except (RuntimeError, ValueError, TypeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{KEY}: the {asked} cannot be used; give a base whose parts fit ({reason})") from None
    for part, answer in answers.items():
        if not bool(answer.isfinite().all()):
            raise InputError(
                f"{KEY}: the output of the {part} is not finite in {name_of(unet.dtype)}, before any training; "
                f"{fp32_or(unet.dtype, 'give another base')}"
            )
