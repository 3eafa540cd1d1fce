"""What is honoured in a base that is not quite as diffusers saves one, and what is found when it is used.

What is refused: tests/input_cases/bases.py.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.diffusion_cases import CLASSES, CPU, PARAMS, SAMPLING, label_table, load, run, write_images
from tests.input_cases.bases import TEXT, UNET, VAE, all_named, configured, rebuilt, tensors
from tests.tiny_base import SIZE, shared_base, stock
from trcgl.artifacts.shards import ShardedImages
from trcgl.diffusion.finetuning.finetune import pinned
from trcgl.diffusion.generator.base import load_pipeline
from trcgl.diffusion.generator.base_parts import COMPONENTS
from trcgl.diffusion.generator.latents import LatentCache, Shown
from trcgl.diffusion.generator.rows import TrainingRows, training_rows
from trcgl.diffusion.generator.saved import CARD, load_generator
from trcgl.diffusion.sampling.plan import plan_samples
from trcgl.diffusion.sampling.sample import draw
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_json


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ShardedImages:
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def rows(images: ShardedImages) -> TrainingRows:
    return training_rows(label_table(), CLASSES, list(images.index["image"]))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared_base(), tmp_path / "base"))


def weights_of(pipeline: Any) -> dict[str, Tensor]:
    return {
        f"{part}.{name}": value for part in COMPONENTS for name, value in getattr(pipeline, part).state_dict().items()
    }


def check_unchanged(pipeline: Any) -> None:
    expected = weights_of(load(shared_base()))
    found = weights_of(pipeline)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_text_encoder_with_the_names_of_older_versions_and_the_rest_of_a_clip(base: Path) -> None:
    tensors(TEXT, all_named("text_model."))(base)
    extra = {"text_model.embeddings.position_ids": torch.arange(77), "vision_model.embeddings.x": torch.zeros(2)}
    tensors(TEXT, lambda values: values.update(extra | {"logit_scale": torch.ones(1)}))(base)
    check_unchanged(load(base))


def test_a_square_sample_size_as_a_list(base: Path, rows: TrainingRows, images: ShardedImages, tmp_path: Path) -> None:
    configured("unet/config", sample_size=[SIZE // 2, SIZE // 2])(base)
    check_unchanged(load(base))
    check_draws(run(tmp_path / "model", rows, images, base=str(base)), rows, images)


def check_draws(folder: Path, rows: TrainingRows, images: ShardedImages) -> None:
    generator = load_generator(folder, CPU)
    plan = plan_samples(rows, generator.card, SAMPLING)
    drawn = draw(generator, plan[:2], SAMPLING, images)
    assert drawn.shape == (2, SIZE, SIZE)
    assert drawn.std() > 5


def test_an_autoencoder_of_one_channel_reads_grey_as_it_is(
    base: Path, rows: TrainingRows, images: ShardedImages, tmp_path: Path
) -> None:
    rebuilt("vae", "AutoencoderKL", in_channels=1, out_channels=1)(base)
    vae = load(base).vae
    cache = LatentCache(vae, images, batch=1)
    cache.add([Shown("3.png")])
    grey = torch.from_numpy(images.read(["3.png"]).astype(np.float32))[:, None] / 127.5 - 1
    with torch.no_grad():
        expected = vae.encode(grey).latent_dist.mode() * vae.config.scaling_factor
    torch.testing.assert_close(cache.read([Shown("3.png")]), expected)
    folder = run(tmp_path / "model", rows, images, base=str(base))
    check_draws(folder, rows, images)
    generator = load_generator(folder)
    drawn = generator.pipeline(**generator.ask([["azygos lobe"]]), num_inference_steps=2, output_type="np").images
    assert drawn.shape == (1, SIZE, SIZE, 1)


@pytest.mark.parametrize("variants", [{UNET: "fp16"}, {UNET: "fp16", VAE: "fp16", TEXT: "fp16"}, {TEXT: "ema"}])
def test_weights_that_are_a_variant_alone_are_taken_and_copied_under_the_usual_name(
    variants: dict[str, str], base: Path, rows: TrainingRows, images: ShardedImages, tmp_path: Path
) -> None:
    for name, variant in variants.items():
        (base / f"{name}.safetensors").rename(base / f"{name}.{variant}.safetensors")
    check_unchanged(load(base))
    folder = run(tmp_path / "model", rows, images, base=str(base))
    assert not [path for path in folder.rglob("*.safetensors") if path.stem.endswith(("fp16", "ema"))]
    check_unchanged(stock.StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, use_safetensors=True))
    check_draws(folder, rows, images)


def test_the_usual_weights_go_before_a_variant_beside_them(base: Path) -> None:
    other = {name: torch.zeros_like(value) for name, value in load_file(base / f"{UNET}.safetensors").items()}
    save_file(other, base / f"{UNET}.fp16.safetensors", metadata={"format": "pt"})
    check_unchanged(load(base))


@pytest.mark.parametrize("variant", [None, "fp16"])
def test_weights_in_several_files(base: Path, variant: str | None) -> None:
    unet = load(base).unet
    shutil.rmtree(base / "unet")
    unet.save_pretrained(base / "unet", max_shard_size="10KB", variant=variant)
    assert len(list((base / "unet").glob("*.safetensors"))) > 1
    check_unchanged(load(base))
    next((base / "unet").glob("*-00001-of-*.safetensors")).unlink()
    with pytest.raises(InputError, match=r"the unet of '.*' cannot be loaded; copy the whole base again"):
        load(base)


def test_a_hub_id_is_taken_from_the_local_cache(
    base: Path, rows: TrainingRows, images: ShardedImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `hf download` leaves it, without a network."""
    cache = tmp_path / "hub"
    place = cache / "models--somebody--tiny"
    shutil.copytree(base, place / "snapshots" / "0123456789abcdef0123456789abcdef01234567")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0123456789abcdef0123456789abcdef01234567")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("diffusers.pipelines.pipeline_utils.HF_HUB_CACHE", str(cache), raising=False)
    check_unchanged(load_pipeline("somebody/tiny", None, size=SIZE, dtype=torch.float32))
    # The generator names the commit, and keeps to it when the owner changes the base
    folder = run(tmp_path / "model", rows, images, base="somebody/tiny")
    assert read_json(folder / CARD)["base_revision"] == "0123456789abcdef0123456789abcdef01234567"
    drawn = load_generator(folder).pipeline.unet.state_dict()
    changed = place / "snapshots" / ("f" * 40)
    shutil.copytree(base, changed)
    tensors(UNET, lambda values: values.update({name: value * 0 for name, value in values.items()}))(changed)
    (place / "refs" / "main").write_text("f" * 40)
    assert not load_pipeline("somebody/tiny", None, size=SIZE, dtype=torch.float32).unet.conv_in.weight.any()
    again = load_generator(folder).pipeline.unet.state_dict()
    assert all(torch.equal(drawn[name], value) for name, value in again.items())


def test_a_run_that_continues_keeps_the_commit_of_its_base(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage's resumable state belongs to the pinned params, and so to another one after the branch has moved."""
    cache = tmp_path / "hub"
    place = cache / "models--somebody--tiny"
    (place / "refs").mkdir(parents=True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("diffusers.pipelines.pipeline_utils.HF_HUB_CACHE", str(cache), raising=False)
    params = replace(PARAMS, base="somebody/tiny")
    for commit in ("0" * 40, "f" * 40):
        shutil.copytree(base, place / "snapshots" / commit)
        (place / "refs" / "main").write_text(commit)
        assert pinned(params) == replace(params, base_revision=commit)
    first = replace(params, base_revision="0" * 40)
    assert pinned(first) == first
    for folder in (str(base), None):
        assert pinned(replace(PARAMS, base=folder)) == replace(PARAMS, base=folder)
    with pytest.raises(InputError, match=r"the hub id \(revision main\) 'nobody/tiny' cannot be loaded"):
        pinned(replace(PARAMS, base="nobody/tiny"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_an_autoencoder_in_float32_has_never_been_rounded(base: Path, dtype: torch.dtype) -> None:
    pipeline = load_pipeline(str(base), None, size=SIZE, dtype=dtype, autoencoder=torch.float32)
    assert pipeline.unet.dtype == pipeline.text_encoder.dtype == dtype
    expected = load(base).vae.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in pipeline.vae.state_dict().items())
    assert not all(torch.equal(value, value.to(dtype).float()) for value in expected.values())


# Found when it is used


def test_a_base_that_has_moved_is_named_with_the_file_that_names_it(
    base: Path, rows: TrainingRows, images: ShardedImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trcgl.diffusion.generator.base.SMALL_BASE", 1000)
    folder = run(tmp_path / "model", rows, images, base=str(base))
    base.rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"trcgl\.json: the base '.*base' that it names is not there .*; put it back"):
        load_generator(folder)
    card = json.loads((folder / "trcgl.json").read_text())
    (folder / "trcgl.json").write_text(json.dumps(card | {"base": str(tmp_path / "moved")}))
    check_draws(folder, rows, images)
    (tmp_path / "moved/vae/config.json").unlink()
    with pytest.raises(InputError, match=r"^.*trcgl\.json: base: .*moved/vae/config\.json is missing"):
        load_generator(folder)


def test_adapters_of_another_base_are_refused(
    base: Path, rows: TrainingRows, images: ShardedImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trcgl.diffusion.generator.base.SMALL_BASE", 1000)
    folder = run(tmp_path / "model", rows, images, base=str(base), lora_layers=("attention",))
    rebuilt("unet", "UNet2DConditionModel", block_out_channels=[16, 16])(base)
    with pytest.raises(InputError, match=r"pytorch_lora_weights\.safetensors: the adapters do not fit the base"):
        load_generator(folder)
    plain = {"down_block_types": ["DownBlock2D"] * 2, "up_block_types": ["UpBlock2D"] * 2, "block_out_channels": [8, 8]}
    rebuilt("unet", "UNet2DConditionModel", **plain)(base)
    with pytest.raises(InputError, match=r"the adapters do not fit the base .*found their layer"):
        load_generator(folder)


def test_a_folder_without_a_generator_says_so(tmp_path: Path) -> None:
    (tmp_path / "trcgl.json").write_text('{"base": null}')
    with pytest.raises(InputError, match=r"trcgl\.json: no generator was trained; set 'diffusion\.base'"):
        load_generator(tmp_path)


def test_a_latent_that_is_not_finite_is_named_with_its_image(base: Path, images: ShardedImages) -> None:
    vae = load(base).vae
    with torch.no_grad():
        vae.quant_conv.bias.fill_(float("inf"))
    with pytest.raises(InputError, match=r"latent of image '2\.png' is not finite in float32; give another base$"):
        LatentCache(vae, images).add([Shown("2.png")])
    half = r"is not finite in bfloat16; set 'compute\.precision' to fp32, or give another base$"
    with pytest.raises(InputError, match=half):
        LatentCache(vae.to(torch.bfloat16), images).add([Shown("2.png")])


def test_a_loss_that_is_not_finite_before_training_does_not_blame_the_learning_rate(
    base: Path, rows: TrainingRows, images: ShardedImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trcgl.diffusion.finetuning.heldout.held_out_loss", lambda *given: float("nan"))
    with pytest.raises(InputError, match=r"'diffusion\.base': the denoising loss .* before any .*; give another base$"):
        run(tmp_path / "model", rows, images, base=str(base))
