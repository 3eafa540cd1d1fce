"""Draw images of the rare findings.

Latent diffusion with classifier-free guidance, solved by DPM-Solver++ (Lu et al., arXiv 2211.01095). Each image has
its own seed, and batches have a fixed size, so that an image depends neither on its neighbours nor on when a killed run
was continued.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from trcgl.config import SamplingParams
from trcgl.diffusion.base import latent_size
from trcgl.diffusion.prompts import guided_embeddings, prompt_text
from trcgl.diffusion.rows import TrainingRows
from trcgl.diffusion.saved import Generator, GeneratorCard
from trcgl.diffusion.stock import DPMSolverMultistepScheduler
from trcgl.images.shards import ShardWriter
from trcgl.runtime.files import directory_beside, written_beside
from trcgl.runtime.logging import get_logger, progress
from trcgl.runtime.seeding import rng, seed_of

SAMPLE_SCHEMA = pa.schema(
    [
        ("sample", pa.string()),
        ("target", pa.string()),
        ("findings", pa.list_(pa.string())),
        ("prompt", pa.string()),
        ("seed", pa.int64()),
    ]
)
log = get_logger("diffusion")


@dataclass(frozen=True)
class Sample:
    """One image to draw.

    Attributes:
        sample: unique name, such as synth-azygos_lobe-00003.
        target: the tail finding it is drawn for.
        findings: everything its prompt names: the label set of a real training image that has the target.
        seed: of its initial noise.
    """

    sample: str
    target: str
    findings: tuple[str, ...]
    prompt: str
    seed: int


def plan_samples(rows: TrainingRows, card: GeneratorCard, params: SamplingParams) -> list[Sample]:
    """What to draw: `images_per_finding` for each tail finding, views and co-occurring findings as in real images."""
    plan = []
    for target, carriers in sorted(rows.carriers.items()):
        for number in range(params.images_per_finding):
            row = carriers[rng(params.seed, "row", target, number).integers(len(carriers))]
            findings = rows.findings[row]
            plan.append(
                Sample(
                    sample=f"synth-{'_'.join(target.replace('/', ' ').split())}-{number:05d}",
                    target=target,
                    findings=findings,
                    prompt=prompt_text(card.prompt_template, rows.projections[row], findings, card.phrases),
                    seed=seed_of(params.seed, "noise", target, number),
                )
            )
    return plan


@torch.no_grad()
def draw(generator: Generator, samples: Sequence[Sample], params: SamplingParams) -> np.ndarray:
    """Draw at most `params.micro_batch` images; a smaller number is filled up and cut.

    Returns:
        Grey uint8 [len(samples), size, size].
    """
    pipeline = generator.pipeline
    filled = [*samples, *[samples[-1]] * (params.micro_batch - len(samples))]
    shape = latent_size(pipeline)
    noise = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(s.seed)) for s in filled])
    positive, negative = guided_embeddings(
        pipeline, generator.tokens, [s.prompt for s in filled], [s.findings for s in filled]
    )
    drawn = pipeline(
        prompt_embeds=positive,
        negative_prompt_embeds=negative,
        latents=noise.to(pipeline.unet.device, pipeline.unet.dtype),
        num_inference_steps=params.steps,
        guidance_scale=params.guidance_scale,
        output_type="np",
    ).images
    grey = np.asarray(drawn, dtype=np.float32).mean(axis=3)
    return np.rint(grey * 255).astype(np.uint8)[: len(samples)]


def use_solver(pipeline: Any) -> None:
    """Give the pipeline DPM-Solver++ over its own noise schedule and prediction type."""
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(
        pipeline.scheduler.config, algorithm_type="dpmsolver++", solver_order=2
    )


def draw_all(generator: Generator, plan: Sequence[Sample], params: SamplingParams, kept: Path | None) -> np.ndarray:
    """Draw the whole plan in micro-batches.

    Args:
        kept: folder where finished micro-batches wait for a run that continues; None keeps nothing.

    Returns:
        uint8 [len(plan), size, size].
    """
    use_solver(generator.pipeline)
    size = generator.card.size
    pixels = np.empty((len(plan), size, size), dtype=np.uint8)
    for start in progress(range(0, len(plan), params.micro_batch), what="sampling"):
        part = slice(start, start + params.micro_batch)
        file = kept / f"from-{start:06d}.npy" if kept else None
        if file and file.exists():
            pixels[part] = np.load(file, allow_pickle=False)
            continue
        pixels[part] = draw(generator, plan[part], params)
        if file:
            with written_beside(file) as beside:
                np.save(beside, pixels[part])
    return pixels


def write_samples(folder: Path, plan: Sequence[Sample], pixels: np.ndarray, size: int, shard_images: int) -> None:
    """Write `folder` as a whole: shards, their index and samples.parquet; also when there is nothing to write."""
    with directory_beside(folder) as beside:
        writer = ShardWriter(beside, size, shard_images)
        for sample, image in zip(plan, pixels, strict=True):
            writer.add(sample.sample, image)
        writer.close()
        rows = [{**asdict(sample), "findings": list(sample.findings)} for sample in plan]
        pq.write_table(pa.Table.from_pylist(rows, schema=SAMPLE_SCHEMA), beside / "samples.parquet")
