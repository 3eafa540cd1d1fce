"""Fine-tune a base generator on the rare findings, and measure on validation images what it has learned."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from trcgl.artifacts.shards import ShardedImages
from trcgl.config import DiffusionParams
from trcgl.diffusion.finetuning.adapt import adapt
from trcgl.diffusion.finetuning.heldout import HeldOut, TailQuestions
from trcgl.diffusion.finetuning.journal import Journal
from trcgl.diffusion.generator.base import commit_of, copy_base, downloaded, is_small_folder, load_pipeline
from trcgl.diffusion.generator.base_files import check_untaught
from trcgl.diffusion.generator.base_fit import check_answers
from trcgl.diffusion.generator.hub import check_revision, is_hub_id
from trcgl.diffusion.generator.latents import LatentCache
from trcgl.diffusion.generator.lora import check_matches, save_lora
from trcgl.diffusion.generator.lora_layers import check_layers
from trcgl.diffusion.generator.prompts import prompts_of, report_cut_prompts
from trcgl.diffusion.generator.rows import TrainingRows
from trcgl.diffusion.generator.saved import GeneratorCard
from trcgl.diffusion.generator.wording import Wording
from trcgl.numerics.device import fp32_or, pick_dtype
from trcgl.numerics.processes import ALONE, Processes
from trcgl.runtime.cores import warn_if_crowded
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger

log = get_logger("diffusion")


def pinned(params: DiffusionParams) -> DiffusionParams:
    """The params with the commit of a base from the hub, downloaded if need be; those of a folder or null as they are.

    A branch may move between a run that was killed and the one that continues it, and its adapters fit one base only.

    Raises:
        InputError: the hub id is neither cached nor reachable.
    """
    if params.base is None or not is_hub_id(params.base):
        return params
    return replace(params, base_revision=downloaded(params.base, params.base_revision, "'diffusion.base'").name)


def finetune(
    params: DiffusionParams,
    rows: TrainingRows,
    held_out: TrainingRows,
    images: ShardedImages,
    phrases: Mapping[str, str],
    folder: Path,
    *,
    journal: Journal,
    device: torch.device,
    precision: str,
    processes: Processes = ALONE,
) -> HeldOut:
    """Train the adapter, and write the generator.

    Args:
        params: with a base; without one, see `write_no_generator`.
        held_out: validation rows; nothing is learned from them.
        phrases: English phrase of every finding.
        folder: an empty folder, a different one for each process. `saved.load_generator` reads it. If the base was
            copied into it, plain diffusers reads it, too.
        precision: as compute.precision; it applies on an accelerator only. P and LoRA are always float32. On the CPU
            everything is float32, because bfloat16 was no faster there for convolutions with so few channels (measured:
            50 against 52 images/s).
        processes: the processes that train this generator together; all end with the same weights.

    Returns:
        The denoising losses before and after fine-tuning.

    Raises:
        InputError: the base or the params do not fit, or a loss is not finite.
        ValueError: `params` has no base.
    """
    if processes.first:
        warn_if_crowded(torch.get_num_threads())
    if params.base is None:
        raise ValueError("there is no base to teach")
    dtype = torch.float32 if device.type == "cpu" else pick_dtype(device, precision)
    wording = Wording.of(params)
    check_layers(params.lora_layers)
    check_revision(params.base, params.base_revision)
    prompts = prompts_of(rows, wording, phrases)
    # The autoencoder as in sampling: rounding noise in the latents would be learned as texture
    pipeline = load_pipeline(
        params.base, params.base_revision, size=images.size, dtype=dtype, autoencoder=torch.float32
    ).to(device)
    check_untaught(Path(pipeline.name_or_path))
    check_matches(pipeline, params.lora_layers, with_text=params.text_lora_rank > 0)
    check_answers(pipeline)
    cache = LatentCache(pipeline.vae, images)
    inside = is_small_folder(params.base)
    if inside:
        copy_base(params.base, folder)
    report_cut_prompts(pipeline.tokenizer, prompts)
    asked = TailQuestions(held_out, prompts_of(held_out, wording, phrases), cache)
    before = asked.loss(pipeline, None)
    if asked.count and not math.isfinite(before):
        raise InputError(
            f"'diffusion.base': the denoising loss of '{params.base}' on validation images is {before} before any "
            f"training; {fp32_or(dtype, 'give another base')}"
        )
    tokens = adapt(pipeline, cache, params, rows, prompts, sorted(phrases), journal, dtype, processes)
    after = asked.loss(pipeline, tokens)
    log.info("denoising loss on %d validation images of tail findings: base %.4f, now %.4f", asked.count, before, after)
    GeneratorCard(
        base=params.base,
        # So that the same weights are loaded later, also if the params name no commit
        base_revision=commit_of(pipeline) if is_hub_id(params.base) else None,
        base_inside=inside,
        prompt_template=params.prompt_template,
        prompt_normal=params.prompt_normal,
        prompt_tokens=params.prompt_tokens,
        lora_rank=params.lora_rank,
        text_lora_rank=params.text_lora_rank,
        size=images.size,
        phrases=dict(phrases),
    ).write(folder)
    tokens.save(folder / "prompt_tokens.safetensors")
    save_lora(folder, pipeline.unet, pipeline.text_encoder if params.text_lora_rank else None)
    return HeldOut(before, after, asked.count)
