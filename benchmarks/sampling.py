"""Drawing images: the overhead of the loop beside its U-Net calls, and images/s against diffusers' pipeline.

    PYTHONPATH=src python -m benchmarks.sampling [--kid 0]

The base generator of the repository draws with both; the pipeline as RoentGen-v2 is run (PNDM, 75 steps, guidance 3),
ours as params.yaml says. The floor is our number of U-Net calls and the autoencoder, without a loop around them.
`--kid N` also draws N images with each and compares them with real phantoms: squared kernel distance (KID's cubic
kernel and unbiased estimator) on the features of the independent detector instead of Inception's. CPU time.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.phantom_difficulty import pixels
from benchmarks.report import Row, print_rows, rounds_row, write_results
from benchmarks.timing import cpu_seconds, take_turns
from diffusers.schedulers.scheduling_pndm import PNDMScheduler

from trcgl.artifacts.vocabulary import phrases
from trcgl.audit.measured import measure
from trcgl.classifier.network.model import Classifier
from trcgl.config import Params, load_params
from trcgl.diffusion.generator.base import latent_size, load_pipeline
from trcgl.diffusion.generator.prompts import text_embeddings
from trcgl.diffusion.generator.solver import use_solver
from trcgl.diffusion.generator.wording import Wording, prompt_text
from trcgl.diffusion.sampling.sample import as_uint8, denoise, initial_noise, is_guided
from trcgl.phantom.population import TEST, draw_population

RESULT = Path("benchmarks/results/sampling.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.sampling"
STEPS, GUIDANCE = 75, 3.0
FINDINGS = ("cardiomegaly", "pleural effusion", "infiltrates", "pneumonia")


class Drawing:
    """Both ways to draw a batch of images from the same prompts and noise."""

    def __init__(self, params: Params, batch: int):
        self.params = params.sampling
        base = str(params.diffusion.base)
        self.ours, self.stock = (
            load_pipeline(base, None, size=params.images.diffusion_size, dtype=torch.float32) for _ in range(2)
        )
        use_solver(self.ours)
        self.stock.scheduler = PNDMScheduler.from_config(self.stock.scheduler.config, skip_prk_steps=True)
        self.stock.set_progress_bar_config(disable=True)
        words = phrases(FINDINGS, params.labels.vocabulary)
        wording = Wording.of(params.diffusion)
        self.prompts = [prompt_text(wording, "PA", [FINDINGS[i % len(FINDINGS)]], words) for i in range(batch)]
        self.positive = self._embedded(self.prompts)
        self.negative = self._embedded([""] * batch)

    def _embedded(self, texts: list[str]) -> torch.Tensor:
        return text_embeddings(self.ours.tokenizer, self.ours.text_encoder, texts)

    def draw_ours(self, first: int = 0) -> np.ndarray:
        noise = initial_noise(self.ours, range(first, first + len(self.prompts)))
        return as_uint8(denoise(self.ours, self.positive, self.negative, noise, self.params))

    @torch.no_grad()
    def draw_stock(self, first: int = 0) -> np.ndarray:
        noise = initial_noise(self.stock, range(first, first + len(self.prompts)))
        size = self.ours.vae_scale_factor * noise.shape[-1]
        drawn = self.stock(
            prompt_embeds=self.positive, negative_prompt_embeds=self.negative, latents=noise, height=size, width=size,
            num_inference_steps=STEPS, guidance_scale=GUIDANCE, output_type="pt",
        )  # fmt: skip
        return as_uint8(drawn.images.mean(dim=1))

    @torch.no_grad()
    def calls_alone(self) -> None:
        """The U-Net calls of `draw_ours` and the decoding of its latents."""
        latents = torch.randn(len(self.prompts), *latent_size(self.ours))
        both = torch.cat([self.negative, self.positive])
        for step in range(self.params.steps):
            guided = is_guided(step, self.params)
            seen, prompts = (torch.cat([latents, latents]), both) if guided else (latents, self.positive)
            self.ours.unet(seen, torch.tensor(500), encoder_hidden_states=prompts, return_dict=False)
        self.ours.vae.decode(latents, return_dict=False)


def overhead(drawing: Drawing, rounds: int) -> Row:
    """Seconds of a drawing without the autoencoder, over the seconds of its U-Net calls, both of the same drawing."""
    inside = {"unet": 0.0, "vae": 0.0}
    calls = {"unet": drawing.ours.unet.forward, "vae": drawing.ours.vae.decode}

    def timed(part: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            started = cpu_seconds()
            result = calls[part](*arguments, **options)
            inside[part] += cpu_seconds() - started
            return result

        return call

    drawing.ours.unet.forward, drawing.ours.vae.decode = timed("unet"), timed("vae")
    ours, unet = [], []
    for _ in range(rounds):
        inside.update(unet=0.0, vae=0.0)
        started = cpu_seconds()
        drawing.draw_ours()
        ours.append(cpu_seconds() - started - inside["vae"])
        unet.append(inside["unet"])
    drawing.ours.unet.forward, drawing.ours.vae.decode = calls["unet"], calls["vae"]
    steps = drawing.params.steps
    return rounds_row(
        f"a U-Net call within the loop, batch {len(drawing.prompts)}, against the bare forward",
        np.array(ours) / steps,
        np.array(unet) / steps,
        floor=float(np.median(unet)) / steps,
        unit="CPU s",
        most=1.05,
        command=COMMAND,
    )


def rate(drawing: Drawing, rounds: int) -> Row:
    timed = take_turns(
        {"ours": drawing.draw_ours, "peer": drawing.draw_stock, "calls": drawing.calls_alone}, rounds=rounds
    )
    images = len(drawing.prompts)
    return rounds_row(
        f"images/s, {drawing.params.steps} steps of DPM-Solver++, against StableDiffusionPipeline with PNDM {STEPS}",
        images / timed.seconds["ours"],
        images / timed.seconds["peer"],
        floor=images / timed.median("calls"),
        unit="images per CPU s",
        least=3.5,
        command=COMMAND,
    )


def kernel_distance(left: np.ndarray, right: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x y / F + 1)^3: Bińkowski et al., arXiv 1801.01401."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def others(values: np.ndarray) -> float:
        n = len(values)
        return float((values.sum() - values.trace()) / (n * (n - 1)))

    return others(kernel(left, left)) + others(kernel(right, right)) - 2 * float(kernel(left, right).mean())


def quality(drawing: Drawing, params: Params, images: int) -> Row:
    """Distances of both to real phantoms, resampled: the quartiles show how far chance alone moves the ratio."""
    judge = Classifier.load(params.audit.detector or "data/assets/phantom_detector")
    population = draw_population(params.dataset.seed, replace(params.dataset.phantom, train_images=40))
    real = [image for image in population if image.split == TEST and image.spoiled is None][: 2 * images]
    batches = range(0, images, len(drawing.prompts))
    features = {
        "real": measure(judge, np.stack([pixels(image, params) for image in real])).features,
        "ours": measure(judge, np.concatenate([drawing.draw_ours(first) for first in batches])).features,
        "stock": measure(judge, np.concatenate([drawing.draw_stock(first) for first in batches])).features,
    }
    draw = np.random.default_rng(0)
    values = {"ours": [], "stock": []}
    for _ in range(50):
        for name in values:
            some = draw.choice(len(features[name]), len(features[name]) // 2, replace=False)
            values[name].append(kernel_distance(features[name][some].astype(float), features["real"].astype(float)))
    return rounds_row(
        f"kernel distance to real phantoms, {images} images each, against StableDiffusionPipeline with PNDM {STEPS}",
        values["ours"],
        values["stock"],
        unit="squared kernel distance",
        most=1.0,
        command=f"{COMMAND} --kid {images}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kid", type=int, default=0, help="images to draw with each, to compare with real ones")
    options = parser.parse_args()
    params = load_params("params.yaml")
    torch.set_num_threads(params.compute.threads)
    micro_batch = params.sampling.micro_batch
    rows = [overhead(Drawing(params, micro_batch), 5), rate(Drawing(params, 4), 5)]
    if options.kid:
        rows.append(quality(Drawing(params, micro_batch), params, options.kid))
    print_rows(rows)
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
