"""A generator in a stock pipeline, by the lines that docs/generator.md prints: it draws what sample_tail draws."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.diffusion_cases import CLASSES, CPU, PHRASES, SAMPLING, label_table, run, write_images
from tests.doc_pages import blocks
from tests.import_graph import ROOT
from tests.input_cases.base_spoiling import SCHEDULER, configured
from tests.tiny_base import SIZE, stock, tiny_base
from trcgl import load_generator
from trcgl.artifacts.shards import ShardedImages
from trcgl.diffusion.generator.base_parts import quiet_libraries
from trcgl.diffusion.generator.rows import training_rows
from trcgl.diffusion.generator.wording import prompt_text
from trcgl.diffusion.sampling.plan import Sample, plan_samples
from trcgl.diffusion.sampling.sample import draw, initial_noise
from trcgl.runtime.errors import InputError

OURS, STOCK, BASE = (
    next(block.text for block in blocks(ROOT / "docs/generator.md") if line in block.text)
    for line in ("load_generator(", 'card["base_inside"]', "data/assets/phantom_base")
)
KINDS: dict[str, dict[str, Any]] = {
    "small": {},
    "large": {"large": True},
    "half": {"half": True},
    "half and large": {"half": True, "large": True},
    "text": {"text_lora_rank": 2},
    "text and large": {"text_lora_rank": 2, "large": True},
    "text, half and large": {"text_lora_rank": 2, "half": True, "large": True},
    "noise predicted": {"predicts": "epsilon"},
    "saved with another solver": {"solver": {"algorithm_type": "sde-dpmsolver++", "solver_order": 3}},
}
TOLERANCE = {"float32": 1, "float16": 6, "bfloat16": 40}
"""Grey levels at most: the stock pipeline rounds its latents in every step, ours sums in float32."""
CASES = [
    *((kind, "float32") for kind in KINDS),
    ("half", "float16"),
    ("text, half and large", "float16"),
    ("text", "bfloat16"),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ShardedImages:
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def projects(images: ShardedImages, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with data/models/diffusion of a kind, made when first asked for."""
    return cache(lambda kind: make(tmp_path_factory.mktemp("project"), images, **KINDS[kind]))


def make(folder: Path, images: ShardedImages, **made: Any) -> Path:
    base = tiny_base(folder / "base", made.pop("predicts", "v_prediction"))
    if solver := made.pop("solver", None):
        kind = "DPMSolverMultistepScheduler"
        configured("model_index", scheduler=["diffusers", kind])(base)
        configured(SCHEDULER, _class_name=kind, **solver)(base)
    if made.pop("half", False):
        with quiet_libraries():
            pipeline = stock.StableDiffusionPipeline.from_pretrained(base, dtype=torch.float16)
            shutil.rmtree(base)
            pipeline.save_pretrained(base)
    rows = training_rows(label_table(), CLASSES, list(images.index["image"]))
    with pytest.MonkeyPatch.context() as patch:
        if made.pop("large", False):
            patch.setattr("trcgl.diffusion.generator.base.SMALL_BASE", 1000)
        # So much is learned that an adapter left out is seen
        run(folder / "data/models/diffusion", rows, images, base=str(base), lr=0.1, prompt_lr=0.1, **made)
    return folder


@pytest.mark.parametrize(("kind", "dtype"), CASES)
@pytest.mark.parametrize("lines", [OURS, STOCK], ids=["ours", "stock"])
def test_the_printed_lines_draw_what_sample_tail_draws(
    projects: Callable[[str], Path],
    lines: str,
    kind: str,
    dtype: str,
    images: ShardedImages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(projects(kind))
    precision = getattr(torch, dtype)
    own = load_generator("data/models/diffusion", CPU, precision, autoencoder=torch.float32)
    prompt = prompt_text(own.card.wording, "PA", ["azygos lobe"], PHRASES)
    params = replace(SAMPLING, steps=12, guidance_scale=2.5, micro_batch=1)
    planned = plan_samples(training_rows(label_table(), CLASSES, list(images.index["image"])), own.card, params)[0]
    sample: Sample = replace(planned, prompt=prompt, findings=("azygos lobe",), seed=7)
    expected = draw(own, [sample], params, images)[0].astype(int)

    known = {"latents": initial_noise(own.pipeline, [7]).to(precision)}
    with quiet_libraries():
        exec(printed(lines, dtype), known)  # noqa: S102 - the page's own lines
    shown = np.asarray(known["image"])
    assert shown.shape == (SIZE, SIZE, 3)
    difference = np.abs((255 * shown.mean(axis=2)).round().astype(int) - expected)
    assert expected.std() > 10
    assert difference.max() <= TOLERANCE[dtype]
    assert difference.mean() <= TOLERANCE[dtype] / 4


def printed(lines: str, dtype: str) -> str:
    """The page's lines in another precision, with noise that is given and pixels that are not rounded."""
    assert "num_inference_steps=12" in lines
    assert "torch.float32" in lines
    given = 'num_inference_steps=12, latents=latents, output_type="np"'
    return lines.replace("num_inference_steps=12", given).replace("torch.float32", f"torch.{dtype}")


@pytest.mark.parametrize("kind", ["small", "text"])
def test_an_adapter_that_is_left_out_would_be_seen(
    projects: Callable[[str], Path], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the test above could not fail."""
    monkeypatch.chdir(projects(kind))
    drawn, noise = [], initial_noise(load_generator("data/models/diffusion").pipeline, [7])
    without = "".join(line for line in STOCK.splitlines(keepends=True) if "load_lora_weights" not in line)
    assert without != STOCK
    for lines in (STOCK, without):
        known = {"latents": noise}
        with quiet_libraries():
            exec(printed(lines, "float32"), known)  # noqa: S102 - the page's own lines
        drawn.append(255 * np.asarray(known["image"]).mean(axis=2))
    assert np.abs(drawn[0] - drawn[1]).max() > 10 * TOLERANCE["float32"]


def test_the_shipped_base_draws_by_the_printed_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    known: dict[str, Any] = {}
    with quiet_libraries():
        exec(BASE.replace("num_inference_steps=30", "num_inference_steps=3"), known)  # noqa: S102 - the page's own lines
    assert known["image"].size == (64, 64)
    assert np.asarray(known["image"]).std() > 10


def test_a_finding_that_was_not_taught_is_named(projects: Callable[[str], Path]) -> None:
    generator = load_generator(projects("small") / "data/models/diffusion")
    with pytest.raises(InputError, match="'hernia' is not a finding of this generator; it has: azygos lobe, effusion"):
        generator.ask([["hernia"]])
    asked = generator.ask([["azygos lobe"], [], ["effusion", "azygos lobe"]], view="")
    assert asked["prompt_embeds"].shape == asked["negative_prompt_embeds"].shape == (3, 77 + 3, 16)
