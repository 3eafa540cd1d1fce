"""`trcgl pretrain`: write a base generator to a folder that diffusers can load, small enough for a repository."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trcgl.artifacts.shards import ShardedImages
from trcgl.artifacts.vocabulary import all_phrases
from trcgl.config import Params
from trcgl.diffusion.finetuning.heldout import held_out_loss
from trcgl.diffusion.finetuning.journal import Journal
from trcgl.diffusion.generator.base import as_input, cast
from trcgl.diffusion.generator.base_files import own_folder
from trcgl.diffusion.generator.base_parts import COMPONENTS, quiet_libraries
from trcgl.diffusion.generator.latents import LatentCache, Shown
from trcgl.diffusion.generator.prompts import text_embeddings
from trcgl.diffusion.generator.wording import Wording
from trcgl.diffusion.pretraining.pretrain import pretrain
from trcgl.diffusion.pretraining.settings import PretrainParams
from trcgl.diffusion.pretraining.sources import JoinedImages, Prompted, Source, prompted
from trcgl.numerics.device import pick_device, pick_dtype, use_threads
from trcgl.numerics.processes import Processes, training_together
from trcgl.numerics.repeat_factors import repeat_factors
from trcgl.phantom.render import SIZE
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.cores import warn_if_crowded
from trcgl.runtime.files import directory_beside, write_csv
from trcgl.runtime.logging import get_logger
from trcgl.runtime.memory import naming_the_knob
from trcgl.runtime.provenance import commit_of_code

CHECKED_IMAGES = 512
"""About this many validation images are used for the card's numbers."""
log = get_logger("pretrain")


def pretrain_folder(params: Params, sizes: PretrainParams, folder: Path, sources: Sequence[Source] = ()) -> None:
    """Train a base on cached training images and write it to `folder` with its card.

    All processes of a launch train it together; the first one writes.

    Args:
        sources: the data folders and wordings to train on; empty: data/ with the wording of `params.diffusion`.

    Raises:
        InputError: no cached images, params that do not fit them, or too little memory.
    """
    device = pick_device(params.compute.device)
    sources = sources or (Source(Path("data"), Wording.of(params.diffusion)),)
    with training_together(device) as processes, naming_the_knob(None):
        _pretrain_folder(params, sizes, folder, sources, device, processes)


def _pretrain_folder(
    params: Params,
    sizes: PretrainParams,
    folder: Path,
    sources: Sequence[Source],
    device: torch.device,
    processes: Processes,
) -> None:
    use_threads(params.compute.threads)
    images = JoinedImages([source.images for source in sources])
    train, held_out = (prompted(sources, split, params.labels.vocabulary) for split in ("train", "val"))
    dtype = torch.float32 if device.type == "cpu" else pick_dtype(device, params.compute.precision)
    # The index has checksums of the pixels
    inputs = [file for source in sources for file in (source.images / "index.parquet", source.labels, source.classes)]
    inputs += [Path(params.labels.vocabulary), *own_folder(sizes.start)]
    resume = ResumePoint(
        "pretrain",
        params=(
            params.diffusion,
            sizes,
            params.compute,
            f"{device.type} {dtype}",
            params.images,
            params.dataset,
            train.wordings,
        ),
        inputs=inputs,
    )
    if processes.first:
        warn_if_crowded(params.compute.threads)
    journal = Journal(resume, writes=processes.first)
    words = [*train.without_findings(), *all_phrases(params.labels.vocabulary)]
    pipeline = pretrain(
        params.diffusion, sizes, images=images, names=train.images, prompts=train.prompts,
        shares=_shares(train.findings, sizes), phrases=words, journal=journal, device=device, dtype=dtype,
        processes=processes,
    )  # fmt: skip
    if not processes.first:
        return
    error, loss = errors_of_base(pipeline, images, held_out)
    log.info("validation images: mean error of the autoencoder %.2f grey levels, denoising loss %.4f", error, loss)
    with directory_beside(folder) as beside, quiet_libraries():
        for part in COMPONENTS:
            cast(getattr(pipeline, part), torch.float16)
        pipeline.save_pretrained(beside)
        write_csv(beside / "loss.csv", journal.curve())
        (beside / "README.md").write_text(_card(params, sizes, pipeline, train, error, loss), encoding="utf-8")
    resume.clear()


def _shares(present: Sequence[tuple[str, ...]], sizes: PretrainParams) -> np.ndarray:
    """The probability of each image in the U-Net's batches: images with rare findings are oversampled."""
    names = sorted({name for findings in present for name in findings})
    positive = np.array([[name in findings for name in names] for findings in present])
    factors = repeat_factors(positive, sizes.repeat_threshold, sizes.repeat_max)
    return factors / factors.sum()


@torch.no_grad()
def errors_of_base(pipeline: Any, images: ShardedImages, held_out: Prompted) -> tuple[float, float]:
    """Mean absolute reconstruction error in grey levels, and denoising loss, both on held-out images."""
    every = max(1, len(held_out.images) // CHECKED_IMAGES)
    names, prompts = list(held_out.images[::every]), held_out.prompts[::every]
    cache = LatentCache(pipeline.vae, images)
    shown = [Shown(name) for name in names]
    cache.add(shown)
    latents = cache.read(shown)
    errors = []
    # As few of large images as are encoded together
    for start in range(0, len(names), cache.batch):
        part = latents[start : start + cache.batch].to(pipeline.vae.device) / pipeline.vae.config.scaling_factor
        decoded = pipeline.vae.decode(part).sample.cpu().clamp(-1, 1)
        pixels = as_input(torch.from_numpy(images.read(names[start : start + cache.batch])), decoded.shape[1])
        errors.extend((decoded - pixels).abs().mean(dim=(1, 2, 3)).tolist())
    embeddings = text_embeddings(pipeline.tokenizer, pipeline.text_encoder, prompts)
    loss = held_out_loss(pipeline, latents, embeddings, "validation")
    return 127.5 * float(torch.tensor(errors).mean()), loss


def _card(params: Params, steps: PretrainParams, pipeline: Any, train: Prompted, error: float, loss: float) -> str:
    counts = {
        name: sum(parameter.numel() for parameter in getattr(pipeline, name).parameters())
        for name in ("vae", "text_encoder", "unet")
    }
    dataset = params.dataset
    seen = Counter(name for findings in train.findings for name in findings)
    listed = ", ".join(f"{name} {count}" for name, count in seen.most_common())
    start, trained = "nothing", f"{steps.autoencoder_steps} autoencoder steps of {steps.autoencoder_batch} crops, "
    if steps.start is not None:
        start, trained = f"the base `{Path(steps.start).name}`", ""
    phantom = f", {SIZE} px phantoms" if dataset.name == "phantom" else ""
    predicted = {"epsilon": "noise", "v_prediction": "velocity"}[pipeline.scheduler.config.prediction_type]
    return f"""# Base generator of chest images, {params.images.diffusion_size} px

A small latent-diffusion model in diffusers' `StableDiffusionPipeline` format, weights in half precision. It is a start
for fine-tuning, not for diagnosis and not for any use on patients.

- **Data:** {len(train.images)} training images of `{dataset.name}`{phantom}; images with any of these labels were left
  out: {", ".join(params.labels.exclude_images_with)}.
- **Findings that its prompts named** (images): {listed or "none"}.
- **Prompts:** {", ".join(f"`{wording.template}`" for wording in train.wordings)}.
- **Command:** `trcgl pretrain`, from {start}: {trained}{steps.unet_steps} U-Net steps of {steps.unet_batch}, seed
  {params.diffusion.seed}; see `studies/pretrain`.
- **Commit:** {commit_of_code()}
- **Parameters:** autoencoder {counts["vae"]:,}, text encoder {counts["text_encoder"]:,}, U-Net {counts["unet"]:,}.
- **On validation images, before rounding to half precision:** mean error of the autoencoder {error:.2f} of 255 grey
  levels; denoising loss {loss:.4f} ({predicted}, all timesteps alike).
- **Loss curve:** `loss.csv`.
"""
