"""Fine-tuning steps/s against diffusers' own example, on the same base, images, LoRA layers, rank and batch.

    PYTHONPATH=src python -m benchmarks.diffusers_lora --code train_text_to_image_lora.py

The script (examples/text_to_image of diffusers) runs unchanged, without arguments that make it validate or save on the
way. Ours also learns prompt tokens and keeps a weight average. The cost of a run besides its steps (loading, and for
ours the latents and text embeddings, which it computes once) is removed by subtracting a shorter run, which in our case
already encodes every image; a second row adds the latents again. The floor is forward and backward of the U-Net with
the adapter, alone. Float32; CPU time of all threads.
"""

import argparse
import contextlib
import io
import json
import logging
import runpy
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from benchmarks.phantom_difficulty import pixels
from benchmarks.report import print_rows, rounds_row, write_results
from benchmarks.timing import cpu_seconds, take_turns

from trcgl.artifacts.shards import ShardedImages, ShardWriter
from trcgl.config import Params, load_params
from trcgl.diffusion.finetuning.adapt import adapt
from trcgl.diffusion.finetuning.journal import Journal
from trcgl.diffusion.generator.base import load_pipeline
from trcgl.diffusion.generator.latents import LatentCache, Shown
from trcgl.diffusion.generator.lora import add_lora
from trcgl.diffusion.generator.lora_layers import UNET_LAYERS
from trcgl.diffusion.generator.prompts import prompts_of
from trcgl.diffusion.generator.rows import TrainingRows
from trcgl.diffusion.generator.wording import UNKNOWN_PATIENT, Wording
from trcgl.phantom.population import draw_population

RESULT = Path("benchmarks/results/diffusers_lora.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.diffusers_lora --code FILE"
IMAGES, BATCH, RANK, FEW, MANY = 32, 16, 4, 4, 16


class SameImages:
    """The first phantoms with one prompt, as our shards and as diffusers' image folder."""

    def __init__(self, params: Params, work: Path):
        self.params, self.work = params, work
        self.size = params.images.diffusion_size
        population = draw_population(params.dataset.seed, params.dataset.phantom)
        drawn = [image for image in population if image.spoiled is None][:IMAGES]
        self.names = tuple(f"{i}.png" for i in range(IMAGES))
        for folder in ("shards", "folder"):
            (work / folder).mkdir()
        writer = ShardWriter(work / "shards", self.size, IMAGES)
        lines = []
        for name, image in zip(self.names, drawn, strict=True):
            small = cv2.resize(pixels(image, params), (self.size, self.size), interpolation=cv2.INTER_AREA)
            writer.add(name, small)
            cv2.imwrite(str(work / "folder" / name), small)
            lines.append(json.dumps({"file_name": name, "text": "chest X-ray, PA view, cardiomegaly"}))
        writer.close()
        (work / "folder/metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def ours(self, steps: int) -> float:
        """Train; returns the CPU seconds of encoding the latents, which are part of it."""
        params = replace(
            self.params.diffusion, steps=steps, batch_size=BATCH, lora_rank=RANK, lora_layers=("attention",),
        )  # fmt: skip
        pipeline = load_pipeline(str(params.base), None, size=self.size, dtype=torch.float32)
        findings = (("cardiomegaly",),) * IMAGES
        rows = TrainingRows(
            self.names,
            self.names,
            ("PA",) * IMAGES,
            (UNKNOWN_PATIENT,) * IMAGES,
            findings,
            ((),) * IMAGES,
            {},
            np.empty(0, int),
        )
        cache = LatentCache(pipeline.vae, ShardedImages(self.work / "shards"))
        prompts = prompts_of(rows, Wording.of(params), {"cardiomegaly": "cardiomegaly"})
        started = cpu_seconds()
        # All images, in the short run as well
        cache.add([Shown(name) for name in self.names])
        seconds = cpu_seconds() - started
        adapt(pipeline, cache, params, rows, prompts, ["cardiomegaly"], Journal())
        return seconds

    def theirs(self, code: Path, steps: int) -> None:
        arguments = {
            "pretrained_model_name_or_path": self.params.diffusion.base,
            "train_data_dir": self.work / "folder",
            "caption_column": "text",
            "resolution": self.size,
            "train_batch_size": BATCH,
            "max_train_steps": steps,
            "rank": RANK,
            "learning_rate": 1e-4,
            "seed": 0,
            "checkpointing_steps": 10**6,
            "cache_dir": self.work / "cache",
            "output_dir": self.work / "theirs",
        }
        before = sys.argv
        sys.argv = [str(code), *(text for name, value in arguments.items() for text in (f"--{name}", str(value)))]
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                runpy.run_path(str(code), run_name="__main__")
        finally:
            sys.argv = before

    def calls_alone(self) -> Callable[[], None]:
        """FEW forward and backward passes of the U-Net with the adapter."""
        pipeline: Any = load_pipeline(str(self.params.diffusion.base), None, size=self.size, dtype=torch.float32)
        unet, width = pipeline.unet.requires_grad_(False), pipeline.unet.config.cross_attention_dim
        add_lora(unet, RANK, UNET_LAYERS["attention"], 0, "lora")
        side = self.size // pipeline.vae_scale_factor
        latents = torch.randn(BATCH, unet.config.in_channels, side, side)
        prompts, when = torch.randn(BATCH, pipeline.tokenizer.model_max_length, width), torch.full((BATCH,), 500)

        def calls() -> None:
            for _ in range(FEW):
                unet(latents, when, encoder_hidden_states=prompts, return_dict=False)[0].mean().backward()

        return calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", type=Path, required=True, help="diffusers' train_text_to_image_lora.py")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    params = load_params("params.yaml")
    torch.set_num_threads(params.compute.threads)
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as name:
        same = SameImages(params, Path(name))
        encoding: list[float] = []
        timed = take_turns(
            {
                "ours": lambda: encoding.append(same.ours(MANY)),
                "ours, few": lambda: same.ours(FEW),
                "theirs": lambda: same.theirs(options.code, MANY),
                "theirs, few": lambda: same.theirs(options.code, FEW),
                "calls": same.calls_alone(),
            },
            rounds=options.rounds,
        )
    steps = MANY - FEW
    ours = timed.seconds["ours"] - timed.seconds["ours, few"]
    theirs = timed.seconds["theirs"] - timed.seconds["theirs, few"]
    with_latents = ours + np.array(encoding[-options.rounds :])
    floor = timed.median("calls") / FEW
    rows = [
        rounds_row(
            f"fine-tuning steps/s of batches of {BATCH}, {what}, against diffusers' train_text_to_image_lora.py",
            steps / seconds,
            steps / theirs,
            floor=1 / floor,
            unit="steps per CPU s",
            least=1.5,
            command=COMMAND,
        )
        for what, seconds in (
            ("latents at hand", ours),
            (f"latents of images shown {steps * BATCH // IMAGES} times", with_latents),
        )
    ]
    print_rows(rows)
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
