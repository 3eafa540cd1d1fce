"""Drawing: the plan, the denoising loop, and micro-batches that processes share and a killed run leaves behind."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_img2img import StableDiffusionImg2ImgPipeline

from tests.diffusion_cases import CLASSES, CPU, PARAMS, PRETRAIN, SAMPLING, label_table, load, run, write_images
from tests.import_graph import ROOT
from tests.stage_scripts import script
from tests.tiny_base import SIZE, tiny_base
from tests.tiny_project import set_params
from trcgl.artifacts.shards import ShardedImages
from trcgl.config import SamplingParams
from trcgl.diffusion.finetuning.journal import Journal
from trcgl.diffusion.finetuning.phase import Phase
from trcgl.diffusion.generator.base import latent_size
from trcgl.diffusion.generator.latents import shifted
from trcgl.diffusion.generator.prompts import guided_embeddings
from trcgl.diffusion.generator.rows import TrainingRows, training_rows
from trcgl.diffusion.generator.saved import Generator, load_generator
from trcgl.diffusion.generator.solver import use_solver
from trcgl.diffusion.pretraining import pretrain as pretraining
from trcgl.diffusion.sampling import micro_batches
from trcgl.diffusion.sampling.contact import real_beside_synthetic
from trcgl.diffusion.sampling.counts import first_samples, images_of
from trcgl.diffusion.sampling.kept import keep, kept
from trcgl.diffusion.sampling.micro_batches import draw_share, kept_images
from trcgl.diffusion.sampling.plan import Sample, plan_samples
from trcgl.diffusion.sampling.sample import denoise, draw, first_step, initial_noise
from trcgl.diffusion.sampling.samples_file import write_samples
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import write_json
from trcgl.runtime.stopping import Stopped

TARGET = "azygos lobe"


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ShardedImages:
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def rows(images: ShardedImages) -> TrainingRows:
    return training_rows(label_table(), CLASSES, list(images.index["image"]))


@pytest.fixture(scope="module")
def model(images: ShardedImages, rows: TrainingRows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("model") / "diffusion", rows, images)


@pytest.fixture(scope="module")
def generator(model: Path) -> Generator:
    return load_generator(model, CPU)


@pytest.fixture
def plan(rows: TrainingRows, generator: Generator) -> list[Sample]:
    return plan_samples(rows, generator.card, SAMPLING)


def draw_plan(
    generator: Generator, plan: Sequence[Sample], images: ShardedImages, kept: Path, params: SamplingParams = SAMPLING
) -> np.ndarray:
    draw_share(generator, plan, images, params, kept)
    return np.stack(list(kept_images(plan, params, kept)))


# What to draw


def test_real_label_sets_and_views_come_from_carriers(rows: TrainingRows, plan: list[Sample]) -> None:
    assert [sample.sample for sample in plan] == [f"synth-azygos_lobe-{i:05d}" for i in range(3)]
    assert len({sample.seed for sample in plan}) == 3
    for sample in plan:
        assert sample.findings in {rows.findings[i] for i in rows.carriers[TARGET]}


def test_single_names_only_the_target(rows: TrainingRows, generator: Generator) -> None:
    many = replace(SAMPLING, images_per_finding=40)
    real = plan_samples(rows, generator.card, many)
    single = plan_samples(rows, generator.card, replace(many, label_sets="single"))
    assert {sample.findings for sample in real} == {("effusion", TARGET), (TARGET,)}
    assert {sample.findings for sample in single} == {(TARGET,)}
    # Carriers are both PA and L
    assert {sample.prompt for sample in single} == {f"chest X-ray, {view} view, azygos lobe" for view in ("PA", "L")}
    assert [sample.seed for sample in single] == [sample.seed for sample in real]


@pytest.mark.parametrize(
    ("label_sets", "strength", "of_effusion_carriers"),
    [("real", 1.0, False), ("single", 1.0, None), ("single", 0.5, True)],
)
def test_what_a_sample_may_show_unasked_is_unknown(
    label_sets: str, strength: float, of_effusion_carriers: bool | None, rows: TrainingRows, generator: Generator
) -> None:
    params = replace(SAMPLING, images_per_finding=40, label_sets=label_sets, strength=strength)
    for sample in plan_samples(rows, generator.card, params):
        row = rows.images.index(sample.carrier.image)
        # Its labels leave effusion out; or they name it and it may be in the pixels that the sample starts from
        expected = of_effusion_carriers is not None and (
            rows.unknown[row] == ("effusion",) or (of_effusion_carriers and "effusion" in rows.findings[row])
        )
        assert sample.unknown == (("effusion",) if expected else ())


@pytest.mark.parametrize("label_sets", ["real", "single"])
def test_normal_carriers_have_no_finding_and_the_views_of_those_that_do(
    label_sets: str, rows: TrainingRows, generator: Generator
) -> None:
    params = replace(SAMPLING, images_per_finding=60, label_sets=label_sets, carriers="normal", strength=0.8)
    plan = plan_samples(rows, generator.card, params)
    own = plan_samples(rows, generator.card, replace(params, carriers="own"))
    # Of the training images 2.png (PA, effusion unknown) and 7.png (L) have no finding
    assert rows.normal.tolist() == [2, 7]
    assert {sample.carrier.image for sample in plan} == {"2.png", "7.png"}
    for sample, like in zip(plan, own, strict=True):
        assert sample.prompt == like.prompt
        assert sample.findings == like.findings
        of_its_labels = rows.unknown[rows.images.index(like.carrier.image)] if label_sets == "real" else ()
        of_its_carrier = ("effusion",) if sample.carrier.image == "2.png" else ()
        left = {*of_its_labels, *of_its_carrier} - set(sample.findings)
        assert sample.unknown == tuple(left)
    with pytest.raises(InputError, match=r"'sampling.carriers' is normal, but every training image has a finding"):
        plan_samples(replace(rows, normal=rows.normal[:0]), generator.card, params)
    nothing = replace(params, images_per_finding=0)
    assert plan_samples(replace(rows, normal=rows.normal[:0]), generator.card, nothing) == []
    only_lateral = plan_samples(replace(rows, normal=np.array([7])), generator.card, params)
    assert {sample.carrier.image for sample in only_lateral} == {"7.png"}
    assert all(" L view" in sample.prompt for sample in only_lateral)


@pytest.mark.parametrize(("factor", "real", "expected"), [(1.5, 5, 8), (0.1, 30, 3), (2.0, 7, 14), (0.0, 5, 0)])
def test_images_per_real_image_is_rounded_up(
    factor: float, real: int, expected: int, rows: TrainingRows, generator: Generator
) -> None:
    params = replace(SAMPLING, images_per_finding=None, images_per_real_image=factor)
    assert images_of(real, params) == expected
    carriers = {TARGET: rows.carriers[TARGET][:4], "effusion": np.arange(2)}
    drawn = plan_samples(replace(rows, carriers=carriers), generator.card, params)
    assert [sample.target for sample in drawn].count(TARGET) == images_of(4, params)
    assert [sample.target for sample in drawn].count("effusion") == images_of(2, params)


def test_more_images_only_append(rows: TrainingRows, generator: Generator, plan: list[Sample]) -> None:
    assert plan_samples(rows, generator.card, replace(SAMPLING, images_per_finding=9))[:3] == plan


@pytest.mark.parametrize(
    "fewer", [{"images_per_finding": 3}, {"images_per_finding": None, "images_per_real_image": 0.5}]
)
def test_the_first_of_many_are_what_fewer_would_be(
    fewer: dict[str, Any], rows: TrainingRows, generator: Generator
) -> None:
    several = replace(rows, carriers={TARGET: rows.carriers[TARGET], "effusion": np.arange(4)})
    drawn = plan_samples(several, generator.card, replace(SAMPLING, images_per_finding=9))
    first = first_samples(pd.Series([sample.target for sample in drawn]), several, params := replace(SAMPLING, **fewer))
    few = plan_samples(several, generator.card, params)
    assert [sample for sample, kept in zip(drawn, first, strict=True) if kept] == few
    assert 0 < len(few) < len(drawn)
    assert first_samples(pd.Series([], dtype="str"), several, params).empty


# The denoising loop


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    pipeline = load(tiny_base(tmp_path_factory.mktemp("base") / request.param, request.param))
    use_solver(pipeline)
    return pipeline


def conditions(pipeline: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Embeddings of three prompts with eight more tokens, of the empty text with others, and noise."""
    draw = torch.Generator().manual_seed(1)
    positive, negative = torch.randn(2, 3, 85, 16, generator=draw)
    return positive, negative, initial_noise(pipeline, [3, 4, 5])


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_the_whole_interval_is_the_stock_pipeline(base: Any, scale: float) -> None:
    positive, negative, noise = conditions(base)
    stock = base(
        prompt_embeds=positive, negative_prompt_embeds=negative, latents=noise.clone(),
        num_inference_steps=7, guidance_scale=scale, output_type="np",
    ).images.mean(axis=3)  # fmt: skip
    ours = denoise(base, positive, negative, noise, replace(SAMPLING, steps=7, guidance_scale=scale)).numpy()
    assert np.ptp(stock) > 0.1
    assert np.abs(ours - stock).max() < 1e-4


@pytest.mark.parametrize(("strength", "steps"), [(1.0, 7), (0.6, 4), (0.3, 2)])
def test_a_start_from_real_latents_is_the_stock_image_to_image_pipeline(base: Any, strength: float, steps: int) -> None:
    positive, negative, _ = conditions(base)
    stock: Any = StableDiffusionImg2ImgPipeline(**base.components, requires_safety_checker=False)
    stock.set_progress_bar_config(disable=True)
    carriers = torch.randn(3, *latent_size(base), generator=torch.Generator().manual_seed(7))
    calls: list[int] = []
    hook = base.unet.register_forward_pre_hook(lambda module, inputs: calls.append(len(inputs[0])))
    theirs = stock(
        image=carriers, strength=strength, num_inference_steps=7, guidance_scale=3.0, output_type="np",
        prompt_embeds=positive, negative_prompt_embeds=negative,
        generator=[torch.Generator().manual_seed(seed) for seed in (3, 4, 5)],
    ).images.mean(axis=3)  # fmt: skip
    assert len(calls) == steps
    hook.remove()
    params = replace(SAMPLING, steps=7, guidance_scale=3.0, strength=strength)
    ours = denoise(base, positive, negative, initial_noise(base, [3, 4, 5]), params, carriers).numpy()
    assert np.ptp(theirs) > 0.1
    assert np.abs(ours - theirs).max() < 1e-4


@pytest.mark.parametrize(
    ("spacing", "steps", "other"), [("trailing", 61, 60), ("trailing", 122, 120), ("leading", 1000, 999)]
)
def test_a_number_of_steps_that_the_scheduler_does_not_make_is_refused(
    base: Any, spacing: str, steps: int, other: int
) -> None:
    scheduler = base.scheduler.from_config(base.scheduler.config, timestep_spacing=spacing)
    positive, negative, noise = conditions(base)
    pipeline = SimpleNamespace(**base.components | {"scheduler": scheduler, "image_processor": base.image_processor})
    with pytest.raises(InputError, match=rf"'sampling\.steps' is {steps}, .* give another number, such as {other}$"):
        denoise(pipeline, positive, negative, noise, replace(SAMPLING, steps=steps))
    scheduler.set_timesteps(other)
    assert len(set(scheduler.timesteps.tolist())) == other


def test_the_last_step_is_taken_at_the_smallest_strength() -> None:
    assert first_step(replace(SAMPLING, steps=7, strength=0.01)) == 6


def test_samples_start_from_the_carriers_they_follow(
    generator: Generator, images: ShardedImages, rows: TrainingRows
) -> None:
    params = replace(SAMPLING, images_per_finding=6, micro_batch=6, strength=0.5, shift=0.2)
    plan = plan_samples(rows, generator.card, params)
    assert {sample.carrier.image for sample in plan} <= {rows.images[i] for i in rows.carriers[TARGET]}
    moves = {(sample.carrier.right, sample.carrier.down) for sample in plan}
    assert len(moves) > 1
    assert {abs(pixels) for move in moves for pixels in move} <= {0, 1, 2, 3}  # A fifth of 16 pixels

    moved = [np.roll(images.read([s.carrier.image])[0], (s.carrier.down, s.carrier.right), axis=(0, 1)) for s in plan]
    inside = slice(3, SIZE - 3)  # The border repeats the edge, where a roll brings the other side
    shown = np.stack([shifted(images.read([s.carrier.image])[0], s.carrier.right, s.carrier.down) for s in plan])
    assert np.array_equal(shown[:, inside, inside], np.stack(moved)[:, inside, inside])

    vae = generator.pipeline.vae
    grey = torch.from_numpy(shown).float().unsqueeze(1).expand(-1, 3, -1, -1) / 127.5 - 1
    with torch.no_grad():
        latents = vae.encode(grey).latent_dist.mode() * vae.config.scaling_factor
    told = guided_embeddings(generator.pipeline, generator.tokens, [s.prompt for s in plan], [s.findings for s in plan])
    noise = initial_noise(generator.pipeline, [s.seed for s in plan])
    expected = denoise(generator.pipeline, *told, noise, params, latents).numpy()
    drawn = draw(generator, plan, params, images)
    assert np.abs(drawn / 255 - expected).max() < 1 / 255
    assert not np.array_equal(drawn, draw(generator, plan, replace(params, strength=1.0), images))


def test_an_empty_interval_means_no_guidance(base: Any) -> None:
    given = conditions(base)
    empty = replace(SAMPLING, guidance_scale=4.0, guidance_start=0.5, guidance_end=0.5)
    unguided = denoise(base, *given, replace(SAMPLING, guidance_scale=1.0))
    assert torch.equal(denoise(base, *given, empty), unguided)
    assert not torch.equal(denoise(base, *given, replace(SAMPLING, guidance_scale=4.0)), unguided)


@pytest.mark.parametrize(
    ("start", "end", "guided"), [(0.0, 1.0, 10), (0.2, 0.7, 5), (0.0, 0.5, 5), (0.5, 0.5, 0), (0.95, 1.0, 0)]
)
def test_steps_outside_the_interval_compute_one_branch(base: Any, start: float, end: float, guided: int) -> None:
    rows: list[int] = []
    hook = base.unet.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[0])))
    params = replace(SAMPLING, steps=10, guidance_scale=3.0, guidance_start=start, guidance_end=end)
    denoise(base, *conditions(base), params)
    hook.remove()
    assert sum(rows) == 3 * (10 + guided)
    first = round(start * 10)
    assert rows == [6 if first <= step < first + guided else 3 for step in range(10)]


# Micro-batches


def test_an_image_does_not_depend_on_its_company(
    generator: Generator, plan: list[Sample], images: ShardedImages, tmp_path: Path
) -> None:
    forward = draw_plan(generator, plan, images, tmp_path / "forward")
    assert np.array_equal(forward, draw_plan(generator, plan[::-1], images, tmp_path / "backward")[::-1])
    assert np.array_equal(forward[1:2], draw(generator, plan[1:2], SAMPLING, images))
    assert not np.array_equal(forward[0], forward[1])


def test_findings_mix_in_a_micro_batch(
    rows: TrainingRows, generator: Generator, images: ShardedImages, tmp_path: Path
) -> None:
    params = replace(SAMPLING, micro_batch=4)
    mixed = plan_samples(replace(rows, carriers=rows.carriers | {"effusion": np.array([0, 3])}), generator.card, params)
    assert {sample.target for sample in mixed[:4]} == {TARGET, "effusion"}
    together = draw_plan(generator, mixed, images, tmp_path, params)
    assert np.array_equal(together[3:4], draw(generator, mixed[3:4], params, images))


def test_the_size_of_a_micro_batch_hardly_matters(
    rows: TrainingRows, generator: Generator, images: ShardedImages, tmp_path: Path
) -> None:
    many = replace(SAMPLING, images_per_finding=11, steps=8)
    plan = plan_samples(rows, generator.card, many)
    drawn = [
        draw_plan(generator, plan, images, tmp_path / str(size), replace(many, micro_batch=size)).astype(int)
        for size in (3, 5, 8)
    ]
    for other in drawn[1:]:
        assert np.mean(np.abs(other - drawn[0]) <= 1) >= 0.999


def test_kept_micro_batches_are_not_drawn_again(
    generator: Generator,
    plan: list[Sample],
    images: ShardedImages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = draw_plan(generator, plan, images, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    drawn: list[int] = []
    monkeypatch.setattr(micro_batches, "draw", lambda g, s, p, i, r: drawn.append(len(s)) or draw(g, s, p, i, r))
    last = tmp_path / "from-000002.npz"
    content = last.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for damaged in (None, b"", content[:-100], bytes(flipped)):
        last.unlink()
        if damaged is not None:
            last.write_bytes(damaged)
        assert np.array_equal(draw_plan(generator, plan, images, tmp_path), whole)
        assert drawn.pop() == 1
        assert not drawn


def test_a_kept_part_that_is_damaged_anywhere_counts_as_not_made(tmp_path: Path) -> None:
    """In the compressed data, too, where zipfile may raise an error of zlib's."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32)).astype(np.uint8)
    keep(tmp_path / "a.npz", pixels)
    whole, random = (tmp_path / "a.npz").read_bytes(), np.random.default_rng(1)
    for _ in range(300):
        content, length = bytearray(whole), int(random.integers(1, 600))
        start = int(random.integers(0, len(whole) - length))
        content[start : start + length] = random.bytes(length)
        (tmp_path / "a.npz").write_bytes(content)
        found = kept(tmp_path / "a.npz")
        assert found is None or np.array_equal(found, pixels)


def test_a_drawn_image_that_is_not_finite_is_named(
    model: Path, plan: list[Sample], images: ShardedImages, tmp_path: Path
) -> None:
    """Black pixels otherwise, in silence."""
    spoiled = load_generator(model, CPU)
    with torch.no_grad():
        spoiled.pipeline.unet.conv_out.bias.fill_(float("nan"))
    with pytest.raises(InputError, match=rf"'{plan[0].sample}' is not finite in float32; lower 'diffusion\.lr' and"):
        draw_plan(spoiled, plan, images, tmp_path)


def test_a_folder_that_is_not_shared_is_one_line(
    generator: Generator, plan: list[Sample], images: ShardedImages, tmp_path: Path
) -> None:
    draw_share(generator, plan, images, SAMPLING, tmp_path, process=1, processes=2)
    with pytest.raises(InputError, match=r"from-000000\.npz: not there"):
        list(kept_images(plan, SAMPLING, tmp_path))


def project(folder: Path, model: Path) -> Path:
    """What sample_tail reads: 11 images to draw in 6 micro-batches, the last one filled up."""
    (folder / "data/labels").mkdir(parents=True)
    label_table().to_parquet(folder / "data/labels/labels.parquet")
    write_json(folder / "data/labels/classes.json", CLASSES)
    (folder / "data/images/diffusion").mkdir(parents=True)
    write_images(folder / "data/images/diffusion")
    shutil.copytree(model, folder / "data/models/diffusion")
    shutil.copy(ROOT / "params.yaml", folder)
    # So many steps that a kill finds the run half-way
    sampling = {"images_per_finding": 11, "images_per_real_image": None, "micro_batch": 2, "strength": 0.9, "steps": 30}
    compute = {"threads": 1, "device": "cpu", "precision": "fp32"}
    set_params(
        folder / "params.yaml",
        {f"sampling.{name}": value for name, value in sampling.items()}
        | {f"compute.{name}": value for name, value in compute.items()},
    )
    return folder


def test_a_state_is_not_that_of_another_precision_or_base(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` is another precision on another machine; a base that is not copied may change where it is."""
    stage, keys = script("sample_tail"), list[tuple[str, list[Path]]]()

    def noted(_: str, *, params: object, inputs: Sequence[str | Path]) -> None:
        keys.append((repr(params), [Path(name) for name in inputs]))
        raise Stopped(15)

    monkeypatch.chdir(project(tmp_path / "project", model))
    set_params(Path("params.yaml"), {"compute.precision": "auto"})
    monkeypatch.setattr(stage, "ResumePoint", noted)
    card = Path("data/models/diffusion/trcgl.json")
    for has_bfloat16, outside in ((True, {}), (False, {}), (False, {"base": str(tmp_path), "base_inside": False})):
        card.write_text(json.dumps(json.loads(card.read_text()) | outside))
        monkeypatch.setattr("trcgl.numerics.device._has_bfloat16", lambda _, has=has_bfloat16: has)
        with pytest.raises(Stopped):
            stage.main()
    assert keys[0][0].replace("cpu bfloat16", "cpu float32") == keys[1][0] != keys[0][0]
    assert keys[0][1] == keys[1][1] == keys[2][1][:-1]
    assert keys[2][1][-1] == tmp_path


def start(folder: Path, processes: int) -> "subprocess.Popen[str]":
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), str(ROOT / "stages" / "sample_tail.py")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    environment = kept | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finish(running: "subprocess.Popen[str]") -> str:
    output, _ = running.communicate(timeout=240)
    assert running.returncode == 0, output
    return output


@pytest.mark.slow
def test_two_processes_and_one_that_was_killed_half_way_leave_the_same_bits(model: Path, tmp_path: Path) -> None:
    shared, killed = project(tmp_path / "shared", model), project(tmp_path / "killed", model)
    running = start(killed, 1)
    deadline = time.monotonic() + 240
    while len(list(killed.glob(".resume/sample_tail/*/from-*.npz"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    running.kill()
    running.communicate()
    kept = sorted(killed.glob(".resume/sample_tail/*/from-*.npz"))
    assert 2 <= len(kept) < 6
    assert not (killed / "data/synthetic").exists()

    two = start(shared, 2)
    # A kept micro-batch that is marked comes out marked: it was not drawn again
    marked, first = np.load(kept[0])["pixels"], int(kept[0].stem.removeprefix("from-"))
    np.savez(kept[0], pixels=255 - marked)
    left = 11 - 2 * len(kept)
    assert f"process 1 of 1 drew {left} images" in finish(start(killed, 1))
    shares = re.findall(r"process (\d) of 2 drew (\d) images .*; 0 of its 3 micro-batches", finish(two))
    assert sorted(shares) == [("1", "6"), ("2", "5")]
    expected = ShardedImages(shared / "data/synthetic")
    names = list(expected.index["image"])
    pixels = expected.read(names)
    assert np.array_equal(pixels[first : first + len(marked)], marked)
    pixels[first : first + len(marked)] = 255 - marked
    assert np.array_equal(ShardedImages(killed / "data/synthetic").read(names), pixels)
    for folder in (shared, killed):
        assert not list(folder.glob(".resume/sample_tail/*"))
        assert (folder / "metrics/plots/sample_tail/real_beside_synthetic.png").exists()


# What is left behind


def test_samples_are_written_with_their_story(
    generator: Generator, plan: list[Sample], images: ShardedImages, tmp_path: Path
) -> None:
    pixels = draw_plan(generator, plan, images, tmp_path / "kept")
    write_samples(tmp_path / "synthetic", plan, pixels, SIZE)
    table = pd.read_parquet(tmp_path / "synthetic" / "samples.parquet")
    assert list(table.columns) == ["sample", "target", "carrier", "source", "findings", "unknown", "prompt", "seed"]
    assert table["seed"].dtype == np.int64
    assert list(table["findings"][0]) == list(plan[0].findings)
    assert np.array_equal(ShardedImages(tmp_path / "synthetic").read(list(table["sample"])), pixels)


def test_no_tail_finding_leaves_an_empty_set(
    generator: Generator, rows: TrainingRows, images: ShardedImages, tmp_path: Path
) -> None:
    plan = plan_samples(replace(rows, carriers={}), generator.card, SAMPLING)
    draw_share(generator, plan, images, SAMPLING, tmp_path)
    write_samples(tmp_path / "synthetic", plan, kept_images(plan, SAMPLING, tmp_path), SIZE)
    schema = pq.read_schema(tmp_path / "synthetic" / "samples.parquet")
    assert schema.names == ["sample", "target", "carrier", "source", "findings", "unknown", "prompt", "seed"]
    assert str(schema.field("findings").type).startswith("list<")
    assert len(ShardedImages(tmp_path / "synthetic")) == 0


def test_picture_shows_training_images_beside_drawn_ones(
    generator: Generator, plan: list[Sample], rows: TrainingRows, images: ShardedImages, tmp_path: Path
) -> None:
    write_samples(tmp_path / "synthetic", plan, draw_plan(generator, plan, images, tmp_path / "kept"), SIZE)
    drawn = ShardedImages(tmp_path / "synthetic")
    for name, shown, samples in (("some", rows, plan), ("undrawn", rows, []), ("none", replace(rows, carriers={}), [])):
        real_beside_synthetic(tmp_path / f"{name}.png", shown, images, samples, drawn)
        assert (tmp_path / f"{name}.png").stat().st_size > 1000


def test_kept_images_are_those_of_this_generator_and_these_parameters(
    rows: TrainingRows, images: ShardedImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project(tmp_path / "project", run(tmp_path / "model", rows, images)))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    stage, folders = script("sample_tail"), []

    def asked(name: str, **of: Any) -> None:
        folders.append(ResumePoint(name, **of).folder)
        raise Stopped(15)

    monkeypatch.setattr(stage, "ResumePoint", asked)
    tokens = Path("data/models/diffusion/prompt_tokens.safetensors")
    changes = (
        lambda: None,
        lambda: None,
        lambda: tokens.write_bytes(b""),
        lambda: set_params(Path("params.yaml"), {"sampling.seed": 7}),
    )
    for change in changes:
        change()
        with pytest.raises(Stopped):
            stage.main()
    assert folders[0] == folders[1]
    assert len(set(folders)) == 3


def test_a_samples_story_is_written_row_by_row_and_its_prompt_is_of_its_carrier(
    rows: TrainingRows, generator: Generator, tmp_path: Path
) -> None:
    card = replace(generator.card, prompt_template="{patient}, {view}, {findings}")
    plan = plan_samples(rows, card, replace(SAMPLING, images_per_finding=20, label_sets="single", strength=0.5))
    write_samples(tmp_path / "synthetic", plan, np.zeros((20, SIZE, SIZE), np.uint8), SIZE)
    table = pd.read_parquet(tmp_path / "synthetic/samples.parquet")
    for row, sample in zip(table.to_dict(orient="records"), plan, strict=True):
        film = rows.images.index(row["carrier"])
        told = f"{rows.patient_words[film]}, {rows.projections[film]}, azygos lobe"
        assert (row["sample"], row["target"], row["seed"]) == (sample.sample, TARGET, sample.seed)
        assert (row["prompt"], row["findings"].tolist()) == (told, [TARGET])
        open_ = "effusion" in (*rows.findings[film], *rows.unknown[film])
        assert row["unknown"].tolist() == (["effusion"] if open_ else [])
    assert table["unknown"].str.len().nunique() == 2


def test_a_base_learns_each_image_with_its_own_prompt_and_some_with_none(
    rows: TrainingRows, images: ShardedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, told = [f"{letter}x" for letter in "abcdefghi"], list[tuple[str, int]]()

    def record(phase: Phase[Any], *_: Any) -> None:
        for step in range(200 if phase.name == "base" else 0):
            told.extend(zip(phase.images_of(step), phase.batch_of(step)[1][:, 1].tolist(), strict=True))

    monkeypatch.setattr(pretraining, "train", record)
    pipeline = pretraining.pretrain(
        PARAMS, PRETRAIN, images=images, names=rows.images, prompts=words, shares=np.full(9, 1 / 9), phrases=words,
        journal=Journal(), device=CPU, dtype=torch.float32,
    )  # fmt: skip
    own = {image: pipeline.tokenizer(word).input_ids[1] for image, word in zip(rows.images, words, strict=True)}
    assert all(token in (own[image], pipeline.tokenizer.eos_token_id) for image, token in told)
    dropped = np.mean([token == pipeline.tokenizer.eos_token_id for _, token in told])
    assert dropped == pytest.approx(PARAMS.prompt_dropout, abs=0.06)
