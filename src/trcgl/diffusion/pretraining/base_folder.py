"""`trcgl pretrain`: a base generator as a folder that diffusers loads and a repository can carry."""

from pathlib import Path
from typing import Any

import torch

from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.shards import ShardedImages
from trcgl.artifacts.vocabulary import all_phrases, phrases
from trcgl.config import Params, PretrainParams
from trcgl.diffusion.finetuning.heldout import held_out_loss
from trcgl.diffusion.finetuning.journal import Journal
from trcgl.diffusion.generator.base import as_input, cast
from trcgl.diffusion.generator.base_parts import COMPONENTS, quiet_libraries
from trcgl.diffusion.generator.latents import LatentCache, Shown
from trcgl.diffusion.generator.prompts import check_template, prompt_text, prompts_of, text_embeddings
from trcgl.diffusion.generator.rows import TrainingRows, class_names, labelled_rows
from trcgl.diffusion.pretraining.pretrain import pretrain
from trcgl.numerics.device import pick_device, pick_dtype, use_threads
from trcgl.numerics.processes import Processes, training_together
from trcgl.phantom.render import SIZE
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.files import directory_beside, read_parquet, write_csv
from trcgl.runtime.logging import get_logger
from trcgl.runtime.provenance import commit_of_code

IMAGES, LABELS, CLASSES = Path("data/images/diffusion"), Path("data/labels/labels.parquet"), "data/labels/classes.json"
CHECKED_IMAGES = 512
"""Validation images that the card's numbers are measured on."""
log = get_logger("pretrain")


def pretrain_folder(params: Params, sizes: PretrainParams, folder: Path) -> None:
    """Train a base on the cached training images of the current folder and write it to `folder` with its card.

    All processes of a launch train it together; the first one writes.

    Raises:
        InputError: no cached images, or params that do not fit them.
    """
    device = pick_device(params.compute.device)
    with training_together(device) as processes:
        _pretrain_folder(params, sizes, folder, device, processes)


def _pretrain_folder(
    params: Params, sizes: PretrainParams, folder: Path, device: torch.device, processes: Processes
) -> None:
    use_threads(params.compute.threads)
    settings = params.diffusion
    check_template(settings.prompt_template)
    images = ShardedImages(IMAGES)
    classes, table = read_classes(CLASSES), read_parquet(LABELS, ["image", "split", "projection"])
    names = class_names(classes)
    named = phrases(names, params.labels.vocabulary)
    rows = labelled_rows(table, classes, list(images.index["image"]), "train")
    held_out = labelled_rows(table, classes, list(images.index["image"]), "val")
    dtype = torch.float32 if device.type == "cpu" else pick_dtype(device, params.compute.precision)
    # The pixels follow from the index and the parameters that made them
    inputs = [IMAGES / "index.parquet", LABELS, CLASSES, params.labels.vocabulary]
    resume = ResumePoint(
        "pretrain", params=(settings, sizes, params.compute, params.images, params.dataset, named), inputs=inputs
    )
    journal = Journal(resume, writes=processes.index == 0)
    words = [prompt_text(settings.prompt_template, "", [], {}), *all_phrases(params.labels.vocabulary)]
    pipeline = pretrain(
        settings, sizes, images=images, names=rows.images, prompts=prompts_of(rows, settings.prompt_template, named),
        phrases=words, journal=journal, device=device, dtype=dtype, processes=processes,
    )  # fmt: skip
    if processes.index > 0:
        return
    error, loss = _check(pipeline, images, held_out, prompts_of(held_out, settings.prompt_template, named))
    log.info("validation images: mean error of the autoencoder %.2f grey levels, denoising loss %.4f", error, loss)
    with directory_beside(folder) as beside, quiet_libraries():
        for part in COMPONENTS:
            cast(getattr(pipeline, part), torch.float16)
        pipeline.save_pretrained(beside)
        write_csv(beside / "loss.csv", journal.curve())
        (beside / "README.md").write_text(_card(params, sizes, pipeline, len(rows), error, loss), encoding="utf-8")
    resume.clear()


@torch.no_grad()
def _check(pipeline: Any, images: ShardedImages, rows: TrainingRows, prompts: list[str]) -> tuple[float, float]:
    """Mean absolute error of reconstructions in grey levels, and denoising loss, on images not trained on."""
    names, prompts = list(rows.images[:CHECKED_IMAGES]), prompts[:CHECKED_IMAGES]
    cache = LatentCache(pipeline.vae, images)
    shown = [Shown(name) for name in names]
    cache.add(shown)
    latents = cache.read(shown)
    errors = []
    for start in range(0, len(names), 64):
        decoded = pipeline.vae.decode(latents[start : start + 64].to(pipeline.vae.device)).sample.cpu().clamp(-1, 1)
        pixels = as_input(torch.from_numpy(images.read(names[start : start + 64])), 3)
        errors.extend((decoded - pixels).abs().mean(dim=(1, 2, 3)).tolist())
    embeddings = text_embeddings(pipeline.tokenizer, pipeline.text_encoder, prompts)
    loss = held_out_loss(pipeline, latents, embeddings, "validation", repeats=4)
    return 127.5 * float(torch.tensor(errors).mean()), loss


def _card(params: Params, steps: PretrainParams, pipeline: Any, count: int, error: float, loss: float) -> str:
    counts = {
        name: sum(parameter.numel() for parameter in getattr(pipeline, name).parameters())
        for name in ("vae", "text_encoder", "unet")
    }
    dataset = params.dataset
    phantom = f", {SIZE} px phantoms of seed {dataset.seed}" if dataset.name == "phantom" else ""
    return f"""# Base generator of chest images, {params.images.diffusion_size} px

A small latent-diffusion model in diffusers' `StableDiffusionPipeline` format, weights in half precision. It is a start
for fine-tuning, not for diagnosis and not for any use on patients.

- **Data:** {count} training images of `{dataset.name}`{phantom}; images with any of these labels were left out:
  {", ".join(params.labels.exclude_images_with)}.
- **Command:** `trcgl pretrain` ({steps.autoencoder_steps} autoencoder steps of {steps.autoencoder_batch} crops,
  {steps.unet_steps} U-Net steps of {steps.unet_batch}, seed {params.diffusion.seed}); see `studies/pretrain`.
- **Commit:** {commit_of_code()}
- **Parameters:** autoencoder {counts["vae"]:,}, text encoder {counts["text_encoder"]:,}, U-Net {counts["unet"]:,}.
- **On validation images, before rounding to half precision:** mean error of the autoencoder {error:.2f} of 255 grey
  levels; denoising loss {loss:.4f} (velocity, all timesteps alike).
- **Loss curve:** `loss.csv`.
"""
