"""Rates on a GPU, compared with a matrix ceiling measured in the same run and with the authors' code.

    PYTHONPATH=src python -m benchmarks.gpu [--code FOLDER]

The trainer, the fine-tuning and the sampling run as the stages run them, in bfloat16, on random images and weights:
`convnextv2_base` at 224 px with PadChest's 174 findings, and a U-Net of Stable Diffusion 2.1's size on 64 x 64 latents.
Operations are counted by torch from one step; the ceiling is a product of two matrices of side 8,192. Data wait is the
share of the loop's time spent waiting for the next batch. FOLDER is a checkout of github.com/November-1113/TRCGL-Net.
"""

import argparse
import logging
import math
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.authors import their_code, their_epoch
from benchmarks.random_shards import random_shards
from benchmarks.report import Row, print_rows, ratio_row, write_results
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextConfig, CLIPTextModel

from trcgl.artifacts.pixels import StoredPixels
from trcgl.classifier.training import train as trainer
from trcgl.classifier.training.build import build_model
from trcgl.classifier.training.data import TrainingData
from trcgl.config import ClassifierParams, ComputeParams, DiffusionParams, SamplingParams, load_params
from trcgl.diffusion.finetuning import loop
from trcgl.diffusion.finetuning.adapt import adapt
from trcgl.diffusion.finetuning.denoising import denoising_loss
from trcgl.diffusion.finetuning.journal import Journal
from trcgl.diffusion.generator.base import noise_schedule
from trcgl.diffusion.generator.latents import LatentCache, Shown
from trcgl.diffusion.generator.prompts import PromptTokens, text_embeddings
from trcgl.diffusion.generator.rows import TrainingRows
from trcgl.diffusion.generator.saved import Generator, GeneratorCard
from trcgl.diffusion.generator.solver import use_solver
from trcgl.diffusion.generator.stock import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from trcgl.diffusion.generator.wording import UNKNOWN_PATIENT, Wording, prompt_text
from trcgl.diffusion.pretraining.words import word_tokenizer
from trcgl.diffusion.sampling.plan import Sample
from trcgl.diffusion.sampling.sample import draw
from trcgl.graph.cooccurrence import Cooccurrence, count_cooccurrence
from trcgl.numerics.device import autocast
from trcgl.numerics.seeding import rng
from trcgl.setup.presets import overlay_files

RESULT = Path("benchmarks/results/gpu.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.gpu"


@dataclass(frozen=True)
class Sizes:
    """Sizes of models and data; the defaults are what is measured, smaller ones are for trying the script on a CPU."""

    backbone: str = "convnextv2_base"
    pixels: int = 224
    findings: int = 174
    images: int = 2048
    batches: tuple[int, ...] = (32, 128)
    steps: int = 60
    unet: tuple[int, ...] = (320, 640, 1280, 1280)
    heads: tuple[int, ...] = (5, 10, 20, 20)
    text: int = 1024
    text_layers: int = 23
    tune_batch: int = 16
    tune_steps: int = 120
    solver_steps: int = 12
    matrix: int = 8192


SPEED = re.compile(r"([0-9.]+) images/s, (?:data wait )?([0-9.]+) %")
"""As the trainers' log lines say it."""


class Said(logging.Handler):
    """What a trainer's last line about its speed says.

    Attributes:
        rate: images per second.
        waited: share of the time spent waiting for data.
    """

    def __init__(self, logger: logging.Logger):
        super().__init__()
        self.rate, self.waited = math.nan, math.nan
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        if found := SPEED.search(record.getMessage()):
            self.rate, self.waited = float(found[1]), float(found[2]) / 100

    def __enter__(self) -> "Said":
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], object], device: torch.device, rounds: int = 7) -> float:
    """Median seconds of a call, the device's work included, after two warm-up calls."""
    times = []
    for i in range(rounds + 2):
        wait(device)
        started = time.perf_counter()
        work()
        wait(device)
        if i >= 2:
            times.append(time.perf_counter() - started)
    return float(np.median(times))


def operations(work: Callable[[], object]) -> float:
    """Floating-point operations of a call, two per multiply-add: matrix products, convolutions and attention."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def matrix_ceiling(device: torch.device, side: int) -> float:
    """Operations per second of a bfloat16 product of two random matrices."""
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * side**3 / seconds_of(lambda: left @ right, device, 20)


def rate_row(
    question: str, rate: float, flops: float, ceiling: float, floor: float | None, waited: float | None
) -> Row:
    """A rate in images per second; `flops` are per image, `floor` is the rate of the network alone."""
    return {
        "question": question,
        "ours": float(f"{rate:.4g}"),
        "peer": None,
        "floor": None if floor is None else float(f"{floor:.4g}"),
        "unit": "images/s",
        "ratio": None,
        "target": "reported",
        "better": "higher",
        "holds": True,
        "teraflops": float(f"{rate * flops / 1e12:.4g}"),
        "share_of_ceiling": float(f"{rate * flops / ceiling:.4g}"),
        "data_wait": None if waited is None else float(f"{waited:.3g}"),
        "command": COMMAND,
    }


class Training:
    """The classifier's trainer on random images."""

    def __init__(self, folder: Path, sizes: Sizes, device: torch.device):
        self.sizes, self.device = sizes, device
        images, names = random_shards(folder / "classifier", sizes.pixels, sizes.images)
        classes = tuple(f"finding {i}" for i in range(sizes.findings))
        self.targets = (rng("targets").random((len(names), len(classes))) < 0.05).astype(np.float32)
        held_out = min(64, len(names) // 4)
        self.data = TrainingData(
            images=StoredPixels(images, names),
            targets=self.targets, names=names, train=np.arange(held_out, len(names)), val=np.arange(held_out),
            class_names=classes, class_groups=("head",) * len(classes),
        )  # fmt: skip
        self.counts: Cooccurrence = count_cooccurrence(self.targets, classes, 1.0)
        shipped = load_params(overlays=overlay_files("padchest", "gpu"))
        self.params = replace(
            shipped.classifier, backbone=sizes.backbone, initial_weights=None, label_vectors=None, frozen_epochs=0,
            warmup_epochs=0.0, epochs=2, extra_source="none",
        )  # fmt: skip
        self.compute = replace(shipped.compute, device=str(device), compile=False)

    def rate(self, params: ClassifierParams, compute: ComputeParams) -> tuple[float, float]:
        """Images per second of the second epoch, and the share of its time spent waiting for data."""
        with Said(trainer.log) as said:
            trainer.train(params, self.data, compute, cooccurrence=self.counts, steps_per_epoch=self.sizes.steps)
        return said.rate, said.waited

    def network(self, params: ClassifierParams, batch: int) -> tuple[float, float]:
        """Images per second of forward and backward alone, and operations per image.

        Operations are three times those of the forward pass, because torch counts the backward pass of a depthwise
        convolution as that of a dense one.
        """
        torch.manual_seed(0)
        model = build_model(params, self.data, self.counts).train()
        model = model.to(self.device).to(memory_format=torch.channels_last)
        images = torch.rand(batch, 1, self.sizes.pixels, self.sizes.pixels, device=self.device)

        def forward() -> Tensor:
            with autocast(self.device, self.compute.precision):
                return model(images)[0]

        def step() -> None:
            forward().square().mean().backward()

        return batch / seconds_of(step, self.device), 3 * operations(forward) / batch

    def rows(self, ceiling: float) -> list[Row]:
        rows = []
        for batch in self.sizes.batches:
            for head in ("linear", "trcgl"):
                params = replace(self.params, batch_size=batch, head=head)
                floor, flops = self.network(params, batch)
                # Compiling takes a minute: once, where it matters most
                last = (batch, head) == (self.sizes.batches[-1], "trcgl")
                for compiled in (False, True) if last else (False,):
                    rate, waited = self.rate(params, replace(self.compute, compile=compiled))
                    what = f"training {self.sizes.backbone} at {self.sizes.pixels} px, head {head}, batch {batch}"
                    what += ", compiled" if compiled else ""
                    rows.append(rate_row(what, rate, flops, ceiling, floor, waited))
                    print_rows(rows[-1:])
        return rows


def large_pipeline(sizes: Sizes, device: torch.device, prompts: list[str]) -> Any:
    """A pipeline of Stable Diffusion 2.1's configuration with random bfloat16 weights and a smaller autoencoder."""
    tokenizer: Any = word_tokenizer(prompts, 77)
    levels = 4
    with torch.device(device):
        unet = UNet2DConditionModel(
            sample_size=64, block_out_channels=sizes.unet, cross_attention_dim=sizes.text,
            attention_head_dim=sizes.heads, use_linear_projection=True,
        )  # fmt: skip
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels, up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=(32, 64, 64, 64), layers_per_block=1, sample_size=512,
        )  # fmt: skip
        text = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer), hidden_size=sizes.text, intermediate_size=4 * sizes.text,
                num_hidden_layers=sizes.text_layers, num_attention_heads=sizes.text // 64, max_position_embeddings=77,
                bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )  # fmt: skip
    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet,
        scheduler=DDPMScheduler(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, prediction_type="v_prediction",
            clip_sample=False, steps_offset=1,
        ),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    kind = torch.float32 if device.type == "cpu" else torch.bfloat16
    for part in (unet, text, vae):
        nn.Module.to(part, kind)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


class Generating:
    """Fine-tuning and sampling at the size of Stable Diffusion."""

    FINDING = "cardiomegaly"

    def __init__(self, folder: Path, sizes: Sizes, device: torch.device):
        self.sizes, self.device = sizes, device
        shipped = load_params(overlays=overlay_files("padchest", "gpu"))
        self.params: DiffusionParams = replace(
            shipped.diffusion, steps=sizes.tune_steps, batch_size=sizes.tune_batch, warmup_steps=1
        )
        self.sampling: SamplingParams = replace(
            shipped.sampling, steps=sizes.solver_steps, strength=1.0, guidance_start=0.0, guidance_end=1.0,
            micro_batch=sizes.tune_batch,
        )  # fmt: skip
        self.images, self.names = random_shards(folder / "diffusion", 512, sizes.tune_batch)
        self.prompt = prompt_text(Wording.of(self.params), "PA", [self.FINDING], {self.FINDING: self.FINDING})
        self.pipeline = large_pipeline(sizes, device, [self.prompt])
        self.kind = next(self.pipeline.unet.parameters()).dtype
        self.findings = [(self.FINDING,)] * sizes.tune_batch

    def rows(self, ceiling: float) -> list[Row]:
        """Fine-tuning, then sampling with the adapter added into the weights, as load_generator does it."""
        texts = [self.prompt] * self.params.batch_size
        cache, marks = LatentCache(self.pipeline.vae, self.images), []
        journal = Journal(tell=lambda curve: marks.append((time.perf_counter(), int(curve["step"].iloc[-1]))))
        with Said(loop.log) as said:
            tokens = adapt(
                self.pipeline, cache, self.params,
                TrainingRows(
                    tuple(self.names), tuple(self.names), ("PA",) * len(self.names),
                    (UNKNOWN_PATIENT,) * len(self.names), tuple(self.findings), ((),) * len(self.names), {},
                    np.empty(0, int),
                ),
                texts, [self.FINDING], journal, self.kind,
            )  # fmt: skip
        latents = cache.read([Shown(name) for name in self.names]).to(self.device)
        with torch.no_grad():
            embedded = text_embeddings(self.pipeline.tokenizer, self.pipeline.text_encoder, texts)
            conditioning = tokens.append(embedded, self.findings).to(self.kind)
        tuned = self.tuned(marks, said.waited, latents, conditioning, ceiling)
        print_rows([tuned])
        self.pipeline.unet.fuse_lora()
        self.pipeline.unet.unload_lora()
        nn.Module.to(self.pipeline.vae, torch.float32)
        use_solver(self.pipeline)
        drawn = self.drawn(tokens, conditioning, ceiling)
        print_rows([drawn])
        return [tuned, drawn]

    def tuned(
        self, marks: list[tuple[float, int]], waited: float, latents: Tensor, conditioning: Tensor, ceiling: float
    ) -> Row:
        (began, first), (ended, last) = marks[len(marks) // 2], marks[-1]
        unet, schedule, batch = self.pipeline.unet, noise_schedule(self.pipeline), self.params.batch_size

        def step() -> None:
            with torch.autocast(self.device.type, dtype=self.kind, enabled=self.kind != torch.float32):
                loss = denoising_loss(unet, schedule, latents, conditioning, torch.Generator().manual_seed(0))
            loss.backward()

        size = sum(p.numel() for name, p in unet.named_parameters() if "lora" not in name) / 1e6
        return rate_row(
            f"fine-tuning a U-Net of {size:.0f} M parameters on 64 x 64 latents, batch {batch}",
            batch * (last - first) / (ended - began), operations(step) / batch, ceiling,
            batch / seconds_of(step, self.device, 5), waited,
        )  # fmt: skip

    def drawn(self, tokens: PromptTokens, conditioning: Tensor, ceiling: float) -> Row:
        batch, steps = self.sampling.micro_batch, self.sampling.steps
        card = GeneratorCard("", None, False, self.params.prompt_template, self.params.prompt_normal, 0, 0, 0, 512, {})
        generator = Generator(self.pipeline, tokens, card)
        samples = [
            Sample(str(i), self.FINDING, Shown(self.names[0]), None, (self.FINDING,), (), self.prompt, i)
            for i in range(batch)
        ]
        seconds = seconds_of(lambda: draw(generator, samples, self.sampling, self.images), self.device, 3)
        seen = torch.randn(2 * batch, 4, 64, 64, device=self.device, dtype=self.kind)
        both, when = torch.cat([conditioning, conditioning]), torch.tensor(500, device=self.device)

        @torch.no_grad()
        def call() -> None:
            self.pipeline.unet(seen, when, encoder_hidden_states=both, return_dict=False)

        return rate_row(
            f"sampling 512 px, {steps} steps of DPM-Solver++, both branches, batch {batch}",
            batch / seconds, steps * operations(call) / batch, ceiling,
            batch / (steps * seconds_of(call, self.device, 5)), None,
        )  # fmt: skip


def authors_row(training: Training, code: Path, folder: Path) -> Row:
    """Their epoch with their loader (4 processes) and float16 against ours with the same, wall time."""
    sizes, batch = training.sizes, training.sizes.batches[0]
    module = their_code(code, folder, on_cpu=training.device.type == "cpu")
    pixels = training.data.images[np.arange(sizes.steps * batch) % sizes.images]
    epoch = their_epoch(module, folder, pixels, training.targets, sizes.backbone, batch, workers=4)
    theirs = seconds_of(epoch, training.device, 1)
    params = replace(training.params, batch_size=batch, head="trcgl_paper", loss="effective_number_margin")
    ours, _ = training.rate(params, replace(training.compute, precision="fp16"))
    what = f"training {sizes.backbone} at {sizes.pixels} px, batch {batch}, float16, against the authors' code"
    return ratio_row(what, ours, sizes.steps * batch / theirs, 1.3, "images/s", f"{COMMAND} --code FOLDER")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", type=Path, help="a checkout of the authors' repository")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        rows = measured(Path(work), Sizes(), torch.device("cuda"), options.code)
    write_results(RESULT, rows, torch.cuda.get_device_name())


def measured(folder: Path, sizes: Sizes, device: torch.device, code: Path | None) -> list[Row]:
    ceiling = matrix_ceiling(device, sizes.matrix)
    product = rate_row(f"bfloat16 product of two matrices of side {sizes.matrix}", 1, ceiling, ceiling, None, None)
    rows = [product | {"ours": product["teraflops"], "unit": "TFLOP/s"}]
    training = Training(folder, sizes, device)
    rows += training.rows(ceiling)
    if code is not None:
        rows.append(authors_row(training, code, folder))
        print_rows(rows[-1:])
    rows += Generating(folder, sizes, device).rows(ceiling)
    return rows


if __name__ == "__main__":
    main()
