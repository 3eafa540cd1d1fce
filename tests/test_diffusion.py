"""The generator on tiny pipelines of the stock classes: loading, training, drawing, resuming."""

import hashlib
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from tests.diffusion_cases import (
    CLASSES,
    CPU,
    PARAMS,
    PHRASES,
    PRETRAIN,
    SAMPLING,
    label_table,
    load,
    run,
    write_images,
)
from tests.tiny_base import SIZE, shared_base, stock, tiny_base
from trcgl.artifacts.shards import ShardedImages
from trcgl.diffusion.finetuning import adapt as adapt_module
from trcgl.diffusion.finetuning import finetune as finetune_module
from trcgl.diffusion.finetuning import loop
from trcgl.diffusion.finetuning.adapt import adapt
from trcgl.diffusion.finetuning.batches import Batches
from trcgl.diffusion.finetuning.denoising import denoising_loss
from trcgl.diffusion.finetuning.finetune import finetune
from trcgl.diffusion.finetuning.heldout import TailQuestions, held_out_loss
from trcgl.diffusion.finetuning.journal import Journal
from trcgl.diffusion.finetuning.loop import train
from trcgl.diffusion.finetuning.phase import Phase
from trcgl.diffusion.finetuning.schedule import Schedule
from trcgl.diffusion.finetuning.seeded import seeded_generator
from trcgl.diffusion.generator.base import load_pipeline
from trcgl.diffusion.generator.latents import LatentCache, Shown, shifted
from trcgl.diffusion.generator.lora import save_lora
from trcgl.diffusion.generator.lora_layers import UNET_LAYERS
from trcgl.diffusion.generator.prompts import (
    PromptTokens,
    guided_embeddings,
    prompts_of,
    report_cut_prompts,
    text_embeddings,
)
from trcgl.diffusion.generator.rows import TrainingRows, labelled_rows, mixed_batch, training_rows
from trcgl.diffusion.generator.saved import load_generator
from trcgl.diffusion.generator.solver import use_solver
from trcgl.diffusion.generator.wording import Wording
from trcgl.diffusion.pretraining import pretrain as pretraining
from trcgl.diffusion.pretraining.base_folder import errors_of_base
from trcgl.diffusion.pretraining.networks import build_autoencoder, seeded
from trcgl.diffusion.pretraining.pretrain import pretrain, standardise_latents
from trcgl.diffusion.pretraining.sources import Prompted
from trcgl.diffusion.pretraining.words import word_tokenizer
from trcgl.diffusion.sampling.plan import plan_samples
from trcgl.diffusion.sampling.sample import draw
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.errors import InputError
from trcgl.runtime.stopping import Stopped, stopping_on_signals

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ShardedImages:
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def rows(images: ShardedImages) -> TrainingRows:
    return training_rows(label_table(), CLASSES, list(images.index["image"]))


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("base") / request.param, request.param)


@pytest.fixture
def held_out(images: ShardedImages) -> TrainingRows:
    return labelled_rows(label_table(), CLASSES, list(images.index["image"]), "val")


@pytest.fixture(scope="module")
def model(images: ShardedImages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = training_rows(label_table(), CLASSES, list(images.index["image"]))
    return run(tmp_path_factory.mktemp("model") / "diffusion", rows, images)


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# Rows and prompts


def test_rows_are_real_training_images_with_pixels(rows: TrainingRows) -> None:
    assert rows.images == tuple(f"{i}.png" for i in range(9))  # 12.png has no pixels, 9 to 11 are held out
    assert rows.findings[0] == ("effusion", "azygos lobe")
    assert rows.findings[2] == ()  # unknown is not named
    assert rows.carriers["azygos lobe"].tolist() == [0, 1, 4, 5, 8]


def test_half_of_a_batch_carries_a_tail_finding(rows: TrainingRows) -> None:
    batch = mixed_batch(rows, 10, 0.5, "seed", 3)
    assert set(batch[:5]) <= set(rows.carriers["azygos lobe"])
    assert np.array_equal(batch, mixed_batch(rows, 10, 0.5, "seed", 3))
    assert len(mixed_batch(replace(rows, carriers={}), 10, 0.5, 0)) == 10


@pytest.mark.parametrize("factor", [1.0, 0.18215])
def test_the_error_of_an_autoencoder_does_not_depend_on_its_scale(
    base: Path, images: ShardedImages, factor: float
) -> None:
    pipeline, names = load(base), ["1.png", "2.png", "3.png"]
    use_solver(pipeline)
    pixels = torch.from_numpy(images.read(names)).float()[:, None].expand(-1, 3, -1, -1) / 127.5 - 1
    with torch.no_grad():
        decoded = pipeline.vae.decode(pipeline.vae.encode(pixels).latent_dist.mode()).sample.clamp(-1, 1)
    pipeline.vae.register_to_config(scaling_factor=factor)
    error, _ = errors_of_base(pipeline, images, Prompted(names, [""] * 3, [()] * 3, ()))
    assert error == pytest.approx(127.5 * float((decoded - pixels).abs().mean()), rel=1e-3)


def test_as_few_large_images_are_decoded_together_as_are_encoded(
    base: Path, images: ShardedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trcgl.diffusion.generator.latents.SMALL", SIZE // 2)
    pipeline, names = load(base), [f"{k}.png" for k in range(10)]
    decode, sizes = pipeline.vae.decode, []
    monkeypatch.setattr(pipeline.vae, "decode", lambda part: sizes.append(len(part)) or decode(part))
    few, _ = errors_of_base(pipeline, images, Prompted(names, [""] * 10, [()] * 10, ()))
    assert sizes == [4, 4, 2]
    monkeypatch.undo()
    assert few == pytest.approx(errors_of_base(pipeline, images, Prompted(names, [""] * 10, [()] * 10, ()))[0])


@pytest.mark.parametrize(("size", "fraction"), [(1, 0.5), (3, 0.5), (16, 0.02), (4, 1.0), (4, 0.0)])
def test_the_tail_fraction_holds_on_average(rows: TrainingRows, size: int, fraction: float) -> None:
    """The first images of a batch are those with a tail finding; here no other image has one."""
    tail = rows.carriers["azygos lobe"]
    many = replace(rows, images=tuple(f"{k}.png" for k in range(100_000)), carriers={"azygos lobe": tail[:1]})
    drawn = np.concatenate([mixed_batch(many, size, fraction, "seed", step) for step in range(3000)])
    assert np.mean(drawn == tail[0]) == pytest.approx(fraction, abs=4 * np.sqrt(fraction * (1 - fraction) / 3000))


def test_every_word_is_one_token() -> None:
    tokenizer = word_tokenizer(["azygos lobe", "lobe, obese zygoma"])
    assert len(tokenizer("azygos lobe").input_ids) == 4
    assert tokenizer.decode(tokenizer("obese lobe").input_ids, skip_special_tokens=True) == "obese lobe"


def test_prompts_that_the_text_encoder_cuts_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = word_tokenizer(["pleural effusion, azygos lobe"], 6)
    assert report_cut_prompts(tokenizer, ["pleural effusion", "azygos lobe"]) == 0
    assert not caplog.records
    assert report_cut_prompts(tokenizer, ["azygos lobe", "pleural effusion, azygos lobe"]) == 1
    assert "1 of 2 prompts are longer than the 6 tokens" in caplog.text


def test_prompt_tokens_follow_both_texts(base: Path) -> None:
    pipeline = load(base)
    tokens = PromptTokens(
        torch.randn(5, 16), {name: torch.randn(3, 16) for name in ("effusion", "azygos lobe", "no finding")}
    )
    findings = [["effusion"], ["azygos lobe", "effusion", "not learned"]]
    positive, negative = guided_embeddings(pipeline, tokens, ["pleural effusion", "azygos lobe"], findings)
    assert positive.shape == negative.shape == (2, 77 + 8, 16)
    for half in (positive, negative):
        assert torch.equal(half[:, 77:82], tokens.shared.detach().expand(2, -1, -1))
    effusion, azygos, nothing = tokens.by_finding
    torch.testing.assert_close(positive[0, 82:], nothing + effusion)
    torch.testing.assert_close(positive[1, 82:], nothing + azygos + effusion)
    torch.testing.assert_close(negative[0, 82:], nothing)
    assert torch.equal(negative[0], negative[1])
    assert not torch.equal(positive[0, :77], positive[1, :77])
    drawn = pipeline(
        prompt_embeds=positive, negative_prompt_embeds=negative, num_inference_steps=2, output_type="np"
    ).images  # fmt: skip
    assert drawn.shape == (2, SIZE, SIZE, 3)


def test_text_embedding_does_not_depend_on_its_batch(base: Path) -> None:
    pipeline = load(base)
    alone = text_embeddings(pipeline.tokenizer, pipeline.text_encoder, ["azygos lobe"])
    among = text_embeddings(pipeline.tokenizer, pipeline.text_encoder, ["effusion"] * 20 + ["azygos lobe"])
    assert torch.equal(alone[0], among[-1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_looked_up_embeddings_are_those_of_the_encoder(base: Path, dtype: torch.dtype) -> None:
    pipeline = load(base)
    pipeline.text_encoder.to(dtype)
    texts = [f"azygos lobe {i}" for i in range(40)]
    embed = adapt_module._looked_up(pipeline, texts)
    asked = [texts[39], "", texts[0], texts[39]]
    assert torch.equal(embed(asked), text_embeddings(pipeline.tokenizer, pipeline.text_encoder, asked))
    assert embed(asked).dtype == torch.float32


def test_fewer_large_images_are_encoded_together() -> None:
    sides = {side: cast(ShardedImages, SimpleNamespace(size=side)) for side in (64, 256, 512, 2048)}
    assert {side: LatentCache(None, images).batch for side, images in sides.items()} == {
        64: 16, 256: 16, 512: 4, 2048: 1
    }  # fmt: skip


def test_latent_does_not_depend_on_its_batch(base: Path, images: ShardedImages) -> None:
    vae = load(base).vae
    alone, among = LatentCache(vae, images, batch=4), LatentCache(vae, images, batch=4)
    alone.add([Shown("7.png")])
    among.add([Shown(f"{i}.png", right, 0) for i in range(9) for right in (0, 1)])
    assert torch.equal(alone.read([Shown("7.png")]), among.read([Shown("7.png")]))
    assert not torch.equal(among.read([Shown("7.png")]), among.read([Shown("7.png", 1)]))


def test_shift_moves_whole_pixels() -> None:
    image = np.arange(25, dtype=np.uint8).reshape(5, 5)
    moved = shifted(image, 2, -1)
    assert np.array_equal(moved[:-1, 2:], image[1:, :-2])
    assert (moved[:, :2] == moved[:, 2:3]).all()  # the edge repeats
    assert np.array_equal(shifted(image, 0, 0), image)


def test_standardised_autoencoder_decodes_the_same() -> None:
    vae = seeded(lambda: build_autoencoder(SIZE, (8, 8), 4), "vae")
    pixels = torch.randn(6, 3, SIZE, SIZE)
    with torch.no_grad():
        before = vae.encode(pixels).latent_dist
        mean, std = before.mean.mean(dim=(0, 2, 3)), before.mean.std(dim=(0, 2, 3))
        decoded = vae.decode(before.mean).sample
        standardise_latents(vae, mean, std)
        after = vae.encode(pixels).latent_dist
    assert after.mean.mean(dim=(0, 2, 3)) == pytest.approx(torch.zeros(4), abs=1e-4)
    assert after.mean.std(dim=(0, 2, 3)) == pytest.approx(torch.ones(4), rel=1e-4)
    torch.testing.assert_close(after.std * std[:, None, None], before.std, rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        torch.testing.assert_close(vae.decode(after.mean).sample, decoded, rtol=1e-3, atol=1e-4)


# Bases that cannot be used


def test_missing_folder_and_wrong_folders(tmp_path: Path, base: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        load(tmp_path / "absent")
    with pytest.raises(InputError, match="is not a diffusers pipeline"):
        load(tmp_path)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "DDPMPipeline"}))
    with pytest.raises(InputError, match="DDPMPipeline"):
        load(tmp_path)
    with pytest.raises(InputError, match=r"draws 16 px but 'images\.diffusion_size' is 32"):
        load_pipeline(str(base), None, size=32, dtype=torch.float32)


def test_a_fine_tuned_generator_is_no_base(
    model: Path, tmp_path: Path, rows: TrainingRows, images: ShardedImages
) -> None:
    """Until its adapters are merged into it, as the message says."""
    refused = r"'start': '.*' is a fine-tuned generator, and its adapters and tokens would be ignored; give the base"
    with pytest.raises(InputError, match=refused):
        base_weights(rows, images, Journal(), str(model))
    load_generator(model).pipeline.save_pretrained(tmp_path / "merged")
    before, merged = load(model).unet.state_dict(), load(tmp_path / "merged").unet.state_dict()
    assert not all(torch.equal(value, merged[name]) for name, value in before.items())
    base_weights(rows, images, Journal(), str(tmp_path / "merged"))


def test_an_autoencoder_of_another_family_is_refused(tmp_path: Path, base: Path) -> None:
    shutil.copytree(base, tmp_path / "base")
    path = tmp_path / "base/vae/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shift_factor": 0.1}))
    with pytest.raises(InputError, match=r"shifts its latents by 0\.1 .* give a base of Stable Diffusion 1 or 2"):
        load(tmp_path / "base")


def test_hub_id_that_is_neither_cached_nor_reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    said = r"^'diffusion.base': the hub id \(revision abc\) 'nobody/nothing' cannot be loaded"
    with pytest.raises(InputError, match=said) as error:
        load_pipeline("nobody/nothing", "abc", size=SIZE, dtype=torch.float32)
    assert "\n" not in str(error.value)


def test_weights_outside_safetensors_are_refused(tmp_path: Path) -> None:
    folder = tiny_base(tmp_path / "base", "epsilon")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(
        InputError, match=r"unet has its weights only as diffusion_pytorch_model\.bin, which is not loaded"
    ):
        load(folder)


# Training


def toy(layer: torch.nn.Module, **changes: Any) -> Phase[torch.Tensor]:
    """A phase of two steps on single images, which `changes` make another."""
    values: dict[str, Any] = {
        "name": "toy",
        "modules": [layer],
        "groups": [{"params": list(layer.parameters()), "lr": 0.1}],
        "batch_of": lambda step: torch.ones(1, 1),
        "images_of": lambda step: [f"image{step}"],
        "batch_size": 1,
        "epoch_images": 1,
        "seed": 0,
        "schedule": Schedule(2, 0),
        "clip_norm": 1.0,
    }
    return Phase(**(values | changes))


def fit(loss_scale: float, clip_norm: float) -> torch.Tensor:
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    seen = []
    optimizer_step = torch.optim.AdamW.step

    def spy(self: Any, *args: Any) -> Any:
        seen.append(torch.linalg.vector_norm(layer.weight.grad))
        return optimizer_step(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", spy)
        train(toy(layer, loss_of=lambda x, noise: loss_scale * (layer(x) - 1).sum(), clip_norm=clip_norm), Journal())
    return torch.stack(seen)


def test_the_loop_clips_what_the_optimiser_uses() -> None:
    assert (fit(100.0, 0.5) <= 0.5001).all()
    assert (fit(100.0, 0.0) == 100.0).all()


def test_a_loss_that_is_not_finite_stops_and_names_the_step() -> None:
    with pytest.raises(
        InputError,
        match=r"step 0 of phase 'toy' went wrong before any training: its loss is nan; give another base; .*: image0$",
    ):
        fit(float("nan"), 1.0)
    for dtype, remedy in ((torch.float32, ""), (torch.bfloat16, r"set 'compute\.precision' to fp32, or ")):
        layer = torch.nn.Linear(1, 1, bias=False)
        later = toy(
            layer, batch_of=lambda step: torch.full((1, 1), float("nan") if step else 1.0), dtype=dtype,
            loss_of=lambda x, noise, layer=layer: layer(x).sum(), lr_keys=("diffusion.lr", "diffusion.prompt_lr"),
        )  # fmt: skip
        remedy += r"lower 'diffusion\.lr' and 'diffusion\.prompt_lr'"
        with pytest.raises(InputError, match=rf"step 1 .* wrong: its loss is nan; {remedy}; .*: image1$"):
            train(later, Journal())


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_a_gradient_that_is_not_finite_stops_and_names_the_step(clip_norm: float) -> None:
    """The root of zero has a value, but no slope."""
    layer = torch.nn.Linear(1, 1, bias=False)
    with pytest.raises(InputError, match=r"step 0 of .* before any training: its gradient's norm is nan;.*: image0$"):
        train(toy(layer, loss_of=lambda x, noise: (0 * layer(x)).sum().sqrt(), clip_norm=clip_norm), Journal())


@pytest.mark.parametrize("steps", [7, 200])
def test_a_run_that_was_asked_to_stop_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """After every step once (of few), or between two rows of the curve (of many): the state of that very step."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))

    def run(stop_after: set[int], resume: ResumePoint | None) -> tuple[torch.Tensor, pd.DataFrame]:
        torch.manual_seed(0)
        layer, journal = torch.nn.Linear(4, 4), Journal(resume)

        def batch(step: int) -> torch.Tensor:
            if step in stop_after:
                signal.raise_signal(signal.SIGTERM)
            return torch.full((2, 4), float(step))

        with stopping_on_signals():
            phase = toy(
                layer, batch_of=batch, batch_size=2, schedule=Schedule(steps, 2), ema_decay=0.9,
                loss_of=lambda x, noise: (layer(x) - torch.randn(2, 4, generator=noise)).square().mean(),
            )  # fmt: skip
            train(phase, journal)
        return torch.cat([layer.weight.detach().flatten(), layer.bias.detach()]), journal.curve()

    whole = run(set(), None)
    stops = range(steps - 1) if steps < 10 else (5, 101)
    for step in stops:
        with pytest.raises(Stopped):
            run({step}, ResumePoint("toy", params=1))
        state = ResumePoint("toy", params=1).load()
        assert state is not None
        assert state["running"]["step"] == step + 1
    weights, curve = run(set(), ResumePoint("toy", params=1))
    assert torch.equal(weights, whole[0])
    assert curve.equals(whole[1])


def test_schedule_warms_up_and_ends_near_zero() -> None:
    factors = [Schedule(10, 2).factor(step) for step in range(10)]
    assert factors[:3] == [0.5, 1.0, 1.0]
    assert factors[2:] == sorted(factors[2:], reverse=True)
    assert 0 < factors[-1] < 0.1


def test_only_prompt_tokens_and_lora_change(base: Path, rows: TrainingRows, images: ShardedImages) -> None:
    pipeline = load(base)
    parts = {"vae": pipeline.vae, "text": pipeline.text_encoder, "unet": pipeline.unet}
    before = {f"{k}.{n}": p.clone() for k, part in parts.items() for n, p in part.named_parameters()}
    prompts, names = prompts_of(rows, Wording.of(PARAMS), PHRASES), sorted(PHRASES)
    tokens = adapt(pipeline, LatentCache(pipeline.vae, images), PARAMS, rows, prompts, names, Journal())
    empty = text_embeddings(pipeline.tokenizer, pipeline.text_encoder, [""])[0]
    start = PromptTokens.beside(empty, 3, PARAMS.prompt_sharing, names, seeded_generator(PARAMS.seed, "tokens"))
    assert start.shared.shape == (1, 16)
    assert start.names == ["azygos lobe", "effusion", "no finding"]
    for learned, first in zip(tokens.parameters(), start.parameters(), strict=True):
        assert learned.shape == first.shape
        assert not torch.equal(learned, first)
    moved = 0
    for kind, part in parts.items():
        for name, parameter in part.named_parameters():
            if "lora_" in name:
                moved += int("lora_B" in name and bool(parameter.abs().sum() > 0))
            else:
                assert torch.equal(before[f"{kind}.{name.replace('.base_layer', '')}"], parameter), name
    assert moved > 0


@pytest.mark.parametrize("text_rank", [0, 2])
def test_what_was_trained_is_what_is_loaded(
    base: Path, rows: TrainingRows, images: ShardedImages, tmp_path: Path, text_rank: int
) -> None:
    trained: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetune_module, "save_lora", lambda *parts: (trained.extend(parts), save_lora(*parts)))
        changes: dict[str, Any] = {"text_lora_rank": text_rank, "lora_layers": tuple(UNET_LAYERS), "lr": 0.1}
        run(tmp_path / "model", rows, images, base=str(base), **changes)
    _, unet, text_encoder = trained
    loaded = load_generator(tmp_path / "model", CPU).pipeline
    noisy, texts = torch.randn(2, 4, SIZE // 2, SIZE // 2), torch.randn(2, 9, 16)
    with torch.no_grad():
        question = (noisy, torch.tensor([3, 700]), texts)
        # Added into the weights, the adapters are rounded otherwise
        torch.testing.assert_close(unet.eval()(*question).sample, loaded.unet(*question).sample, rtol=1e-4, atol=1e-4)
        assert (load(base).unet(*question).sample - loaded.unet(*question).sample).abs().max() > 1e-2
        embedded = text_embeddings(loaded.tokenizer, loaded.text_encoder, ["azygos lobe"])
        plain = text_embeddings(loaded.tokenizer, load(base).text_encoder, ["azygos lobe"])
        assert torch.equal(embedded, plain) == (text_rank == 0)
        if text_rank:
            taught = text_embeddings(loaded.tokenizer, text_encoder.eval(), ["azygos lobe"])
            torch.testing.assert_close(embedded, taught, rtol=1e-4, atol=1e-4)


def test_gradient_checkpointing_keeps_less_and_changes_nothing(
    model: Path, tmp_path: Path, rows: TrainingRows, images: ShardedImages
) -> None:
    tensors: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        tensors[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    kept: dict[bool, int] = {}
    for checkpointing in (False, True):
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            run(tmp_path / str(checkpointing), rows, images, steps=1, gradient_checkpointing=checkpointing)
        kept[checkpointing] = sum(tensor.untyped_storage().nbytes() for tensor in tensors.values())
        tensors.clear()
    assert hashes(tmp_path / "True") == hashes(tmp_path / "False")
    assert kept[True] < kept[False] / 2
    again = run(tmp_path / "again", rows, images, gradient_checkpointing=True)
    assert hashes(again) == hashes(model)


def test_two_runs_leave_the_same_files(model: Path, tmp_path: Path, rows: TrainingRows, images: ShardedImages) -> None:
    again = run(tmp_path / "again", rows, images)
    assert hashes(again) == hashes(model)
    for file in model.rglob("*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            assert len(opened.metadata() or {}) <= 1, file
    assert not any(str(model.parent).encode() in file.read_bytes() for file in model.rglob("*.json"))


def base_weights(
    rows: TrainingRows, images: ShardedImages, journal: Journal, start: str | None = None
) -> dict[str, Tensor]:
    """Of a base from nothing, or from another one."""
    prompts = prompts_of(rows, Wording.of(PARAMS), PHRASES)
    pipeline = pretrain(
        PARAMS, replace(PRETRAIN, start=start), images=images, names=rows.images, prompts=prompts,
        shares=np.full(len(rows), 1 / len(rows)), phrases=list(PHRASES.values()),
        journal=journal, device=CPU, dtype=torch.float32,
    )  # fmt: skip
    parts = ("vae", "text_encoder", "unet")
    return {f"{part}.{name}": value for part in parts for name, value in getattr(pipeline, part).state_dict().items()}


@pytest.mark.parametrize("phase", ["autoencoder", "base", "prompt"])
def test_killed_and_continued_ends_in_the_same_bits(
    phase: str, model: Path, tmp_path: Path, rows: TrainingRows, images: ShardedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    def trained(folder: Path, journal: Journal) -> Any:
        return hashes(run(folder, rows, images, journal)) if phase == "prompt" else base_weights(rows, images, journal)

    def die_in_step_2(name: str, first: int, steps: int) -> Any:
        for step in range(first, steps):
            if name == phase and first == 0 and step == 2:
                raise Killed
            yield step

    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(loop, "KEEP_EVERY_SECONDS", -1.0)
    resume = ResumePoint("finetune_diffusion", params=PARAMS)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_steps", die_in_step_2)
        with pytest.raises(Killed):
            trained(tmp_path / "killed", Journal(resume))
    journal = Journal(resume)
    assert journal.running is not None
    assert (journal.running["phase"], journal.running["step"]) == (phase, 2)
    continued = trained(tmp_path / "continued", journal)
    counts = journal.curve().groupby("phase")["step"].agg(list).to_dict()
    if phase == "prompt":
        assert continued == hashes(model)
        assert counts == {"prompt": [1, 2, 3, 4]}
        return
    whole = base_weights(rows, images, Journal())
    assert continued.keys() == whole.keys()
    assert all(torch.equal(continued[name], value) for name, value in whole.items())
    assert counts == {"autoencoder": [1, 2, 3], "base": [1, 2, 3]}


def test_drawing_starts_at_the_timestep_that_is_all_noise(rows: TrainingRows, images: ShardedImages) -> None:
    pipeline = pretraining.pretrain(
        PARAMS, PRETRAIN, images=images, names=rows.images, prompts=[""] * len(rows),
        shares=np.full(len(rows), 1 / len(rows)), phrases=["a"], journal=Journal(), device=CPU, dtype=torch.float32,
    )  # fmt: skip
    use_solver(pipeline)
    pipeline.scheduler.set_timesteps(12)
    assert pipeline.scheduler.timesteps[0] == pipeline.scheduler.config.num_train_timesteps - 1


def test_a_base_goes_on_from_another(base: Path, rows: TrainingRows, images: ShardedImages) -> None:
    """Its autoencoder stays, text encoder and U-Net learn on."""
    journal = Journal()
    before, after = load(base), base_weights(rows, images, journal, str(base))
    for part, stays in (("vae", True), ("text_encoder", False), ("unet", False)):
        weights = getattr(before, part).state_dict()
        same = [torch.equal(weight, after[f"{part}.{name}"]) for name, weight in weights.items()]
        assert all(same) if stays else not all(same)
    assert set(journal.curve()["phase"]) == {"base"}


@pytest.mark.parametrize("phase", ["autoencoder", "base"])
def test_memory_that_runs_out_in_pretraining_names_the_batch(
    phase: str, rows: TrainingRows, images: ShardedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(running: Any, *given: Any) -> None:
        if running.name == phase:
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(pretraining, "train", run_out)
    knob = {"autoencoder": "autoencoder_batch", "base": "unet_batch"}[phase]
    with pytest.raises(InputError, match=f"^out of memory; lower '{knob}' "):
        base_weights(rows, images, Journal())


def test_rare_findings_are_shown_more_often_to_a_base(
    rows: TrainingRows, images: ShardedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 400 batches each image comes as often as its share says."""
    shares = np.arange(1, len(rows) + 1) / (len(rows) * (len(rows) + 1) / 2)
    drawn: list[str] = []

    def record(phase: Phase[Any], *_: Any) -> None:
        if phase.name == "base":
            drawn.extend(name for step in range(400) for name in phase.images_of(step))

    monkeypatch.setattr(pretraining, "train", record)
    pretraining.pretrain(
        PARAMS, PRETRAIN, images=images, names=rows.images, prompts=[""] * len(rows), shares=shares, phrases=["a"],
        journal=Journal(), device=CPU, dtype=torch.float32,
    )  # fmt: skip
    counts = np.array([drawn.count(name) for name in rows.images])
    expected = shares * len(drawn)
    assert (np.abs(counts - expected) < 4 * np.sqrt(expected)).all()


# What is left behind


def test_plain_diffusers_loads_and_draws(model: Path) -> None:
    pipeline = stock.DiffusionPipeline.from_pretrained(model, use_safetensors=True)
    pipeline.set_progress_bar_config(disable=True)
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    prompt = "chest X-ray, PA view, azygos lobe"
    plain = pipeline(prompt, latents=noise.clone(), num_inference_steps=2, output_type="np").images
    assert plain.shape == (1, SIZE, SIZE, 3)
    pipeline.load_lora_weights(model, weight_name="pytorch_lora_weights.safetensors")
    adapted = pipeline(prompt, latents=noise.clone(), num_inference_steps=2, output_type="np").images
    assert not np.array_equal(plain, adapted)
    tokens = PromptTokens.load(model / "prompt_tokens.safetensors")
    positive, negative = guided_embeddings(pipeline, tokens, [prompt], [["azygos lobe"]])
    learned = {"prompt_embeds": positive, "negative_prompt_embeds": negative}
    told = pipeline(**learned, latents=noise.clone(), num_inference_steps=2, output_type="np").images
    assert told.shape == plain.shape
    assert not np.array_equal(told, adapted)


def test_a_large_base_is_referenced_not_copied(
    base: Path, tmp_path: Path, rows: TrainingRows, images: ShardedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trcgl.diffusion.generator.base.SMALL_BASE", 1000)
    folder = run(tmp_path / "diffusion", rows, images, base=str(base))
    assert sorted(hashes(folder)) == ["prompt_tokens.safetensors", "pytorch_lora_weights.safetensors", "trcgl.json"]
    generator = load_generator(folder, CPU)
    assert generator.card.base == str(base)
    plan = plan_samples(rows, generator.card, SAMPLING)
    assert draw(generator, plan[:2], SAMPLING, images).shape == (2, SIZE, SIZE)


def test_a_small_base_is_copied(base: Path, tmp_path: Path, rows: TrainingRows, images: ShardedImages) -> None:
    folder = run(tmp_path / "diffusion", rows, images, base=str(base))
    assert set(hashes(base)) < set(hashes(folder))
    assert load_generator(folder, CPU).card.base_inside
    assert stock.DiffusionPipeline.from_pretrained(folder, use_safetensors=True).unet is not None


def test_a_damaged_file_of_a_generator_is_named(
    base: Path, tmp_path: Path, rows: TrainingRows, images: ShardedImages
) -> None:
    folder = run(tmp_path / "diffusion", rows, images, base=str(base), steps=0)
    tensors = ("prompt_tokens", "pytorch_lora_weights", "unet/diffusion_pytorch_model", "text_encoder/model")
    card = folder / "trcgl.json"
    values = json.loads(card.read_text())
    for spoiled, wrong in (
        ({"base": "x"}, "no key 'base_revision'"), ({**values, "colour": 1}, "unknown key 'colour'"),
        ([], "no key 'base'"),
    ):  # fmt: skip
        card.write_text(json.dumps(spoiled))
        with pytest.raises(InputError, match=rf"trcgl\.json: damaged or cut short \({wrong}\)"):
            load_generator(folder, CPU)
    card.write_text(json.dumps(values))
    for name in ("trcgl.json", "unet/config.json", *(f"{part}.safetensors" for part in tensors)):
        path = folder / name
        good = path.read_bytes()
        path.write_bytes(good[: len(good) // 2])
        with pytest.raises(InputError, match=f"{name}: damaged or cut short"):
            load_generator(folder, CPU)
        path.write_bytes(good)


def test_no_step_no_token_and_no_tail_finding_still_work(
    base: Path, tmp_path: Path, rows: TrainingRows, images: ShardedImages
) -> None:
    common = replace(rows, carriers={})
    run(tmp_path / "untrained", common, images, base=str(base), steps=0)
    folder = run(tmp_path / "tokenless", common, images, base=str(base), prompt_tokens=0)
    assert load_generator(folder, CPU).tokens.of([[]]).shape == (1, 0, 16)


def test_a_steps_noise_is_of_its_seed_phase_and_number_alone() -> None:
    def seeds(**changes: Any) -> list[int]:
        layer, seen = torch.nn.Linear(1, 1), list[int]()

        def loss(x: Tensor, noise: torch.Generator) -> Tensor:
            seen.append(noise.initial_seed())
            return layer(x).sum()

        train(toy(layer, loss_of=loss, **changes), Journal())
        return seen

    assert seeds() == seeds()
    assert len({*seeds(), *seeds(seed=1), *seeds(name="other")}) == 6


def test_each_group_follows_the_schedule_at_its_own_rate_and_the_average_is_kept() -> None:
    """Where the slope stays the same, AdamW's step is as long as the learning rate."""
    way, schedule = {}, Schedule(8, 3)
    for decay in (0.0, 0.9):
        layers = [torch.nn.Linear(1, 1, bias=False) for _ in range(2)]
        begun = [float(layer.weight) for layer in layers]
        groups = [
            {"params": [part.weight], "lr": lr, "weight_decay": 0.0}
            for part, lr in zip(layers, (0.1, 0.02), strict=True)
        ]
        phase = toy(
            layers[0], modules=layers, groups=groups, schedule=schedule, ema_decay=decay,
            loss_of=lambda x, noise, layers=layers: sum(part(x).sum() for part in layers),
        )  # fmt: skip
        train(phase, Journal())
        way[decay] = [start - float(part.weight) for start, part in zip(begun, layers, strict=True)]
    total = sum(schedule.factor(step) for step in range(8))
    assert way[0.0] == pytest.approx([0.1 * total, 0.02 * total], rel=1e-3)
    assert 0.9 * way[0.0][0] < way[0.9][0] < 0.99 * way[0.0][0]


def test_fine_tuning_takes_the_knobs_of_their_names(
    base: Path, rows: TrainingRows, images: ShardedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    phases: list[Phase[Any]] = []
    monkeypatch.setattr(adapt_module, "train", lambda phase, *_: phases.append(phase))
    pipeline, prompts = load(base), prompts_of(rows, Wording.of(PARAMS), PHRASES)
    knobs = replace(
        PARAMS, lr=0.003, prompt_lr=0.07, lora_layers=("feed_forward",), lora_rank=3, ema_decay=0.25, seed=9
    )
    tokens = adapt(pipeline, LatentCache(pipeline.vae, images), knobs, rows, prompts, sorted(PHRASES), Journal())
    (phase,), trained = phases, {n: p for n, p in pipeline.unet.named_parameters() if p.requires_grad}
    assert [(group["lr"], group["weight_decay"]) for group in phase.groups] == [(0.003, 0.01), (0.07, 0.0)]
    groups = [{id(part) for part in group["params"]} for group in phase.groups]
    assert groups == [{id(part) for part in parts} for parts in (trained.values(), tokens.parameters())]
    assert all(any(layer in name for layer in ("ff.net.", "proj_in", "proj_out")) for name in trained)
    assert {part.shape[0] for name, part in trained.items() if "lora_A" in name} == {3}
    assert (phase.seed, phase.ema_decay, phase.schedule) == (9, 0.25, Schedule(4, 1))


@pytest.mark.parametrize("gamma", [0.0, 0.5])
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_the_loss_is_the_error_in_what_the_base_predicts(kind: str, gamma: float) -> None:
    """By the formulas: noise, or velocity; equation 8 of Min-SNR. This network always says 0."""
    seen: list[tuple[Tensor, Tensor]] = []
    unet: Any = torch.nn.Linear(1, 1)
    unet.forward = lambda noisy, steps, *_, **__: seen.append((noisy, steps)) or (torch.zeros_like(noisy),)
    latents, schedule = torch.randn(6, 4, 8, 8), stock.DDPMScheduler(prediction_type=kind)
    drawn = [torch.Generator().manual_seed(3) for _ in range(2)]
    loss = denoising_loss(unet, schedule, latents, torch.zeros(6, 1, 1), drawn[0], min_snr_gamma=gamma)
    noise, ((noisy, steps),) = torch.randn(latents.shape, generator=drawn[1]), seen
    kept = schedule.alphas_cumprod[steps].view(-1, 1, 1, 1)
    torch.testing.assert_close(noisy, kept.sqrt() * latents + (1 - kept).sqrt() * noise)
    target = noise if kind == "epsilon" else kept.sqrt() * noise - (1 - kept).sqrt() * latents
    snr = (kept / (1 - kept)).flatten()
    weights = snr.clamp(max=gamma) / (snr + (kind != "epsilon")) if gamma else torch.ones(6)
    assert float(loss) == pytest.approx(float((weights * target.square().mean(dim=(1, 2, 3))).mean()), rel=1e-4)


def test_a_dropped_prompt_loses_its_tokens_and_tail_images_alone_are_shifted(rows: TrainingRows) -> None:
    params = replace(PARAMS, steps=300, prompt_dropout=0.25, tail_fraction=0.75)
    prompts, tail = (
        prompts_of(rows, Wording.of(PARAMS), PHRASES),
        {rows.images[i] for i in rows.carriers["azygos lobe"]},
    )
    batches, dropped = Batches(params, rows, prompts, SIZE), 0
    for step, shown in enumerate(batches.shown):
        for one, text, present in zip(shown, *batches.prompts(step), strict=True):
            row = rows.images.index(one.image)
            assert (text, present) == ((prompts[row], rows.findings[row]) if text else ("", ()))
            dropped += not text
    every = [one for shown in batches.shown for one in shown]
    assert dropped / len(every) == pytest.approx(0.25, abs=0.05)
    assert {one.image for one in every if one.right or one.down} == tail
    assert np.mean([one.image in tail for one in every]) == pytest.approx(0.75 + 0.25 * 5 / 9, abs=0.05)


def test_the_held_out_loss_is_of_the_base_and_then_of_the_generator_with_its_tokens(
    rows: TrainingRows, held_out: TrainingRows, images: ShardedImages, tmp_path: Path
) -> None:
    params = replace(PARAMS, base=str(shared_base()), lr=0.1, prompt_lr=1.0)
    found = finetune(params, rows, held_out, images, PHRASES, tmp_path, journal=Journal(), device=CPU, precision="fp32")
    before, generator = load(shared_base()), load_generator(tmp_path)
    cache, prompts = LatentCache(before.vae, images), prompts_of(held_out, Wording.of(params), PHRASES)
    cache.add([Shown("9.png")])
    assert (held_out.images, held_out.findings) == (("9.png",), (("effusion", "azygos lobe"),))
    losses = [TailQuestions(held_out, prompts, cache).loss(before, None)]
    told, _ = guided_embeddings(generator.pipeline, generator.tokens, prompts, held_out.findings)
    losses.append(held_out_loss(generator.pipeline, cache.read([Shown("9.png")]), told, "held out"))
    assert [found.base, found.finetuned] == pytest.approx(losses, rel=1e-4)
    assert abs(losses[0] - losses[1]) > 0.005 * losses[0]


def test_another_seed_is_another_generator(
    model: Path, tmp_path: Path, rows: TrainingRows, images: ShardedImages
) -> None:
    other = run(tmp_path / "other", rows, images, seed=2)
    for name in ("prompt_tokens.safetensors", "pytorch_lora_weights.safetensors"):
        assert (other / name).read_bytes() != (model / name).read_bytes()
