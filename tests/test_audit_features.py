"""The frozen feature space is the base's own middle block, whatever was learned beside it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.audit_cases import SIDE, pictures, write_generator
from tests.diffusion_cases import CPU
from tests.input_cases.base_spoiling import rebuilt
from tests.tiny_base import stock
from trcgl.audit.base_features import NOISED, BaseFeatures
from trcgl.numerics.seeding import seed_of
from trcgl.runtime.errors import InputError


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features") / "generator"
    write_generator(folder)
    return folder


@torch.inference_mode()
def by_hand(folder: Path, image: np.ndarray) -> np.ndarray:
    """The network's parts called one by one, with the noise added by its closed form."""
    pipe = stock.StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    unet, time = pipe.unet, int(NOISED * 1000)
    picture = torch.tensor(image / 127.5 - 1, dtype=torch.float32).expand(1, pipe.vae.config.in_channels, SIDE, SIDE)
    latent = pipe.vae.encode(picture).latent_dist.mean * pipe.vae.config.scaling_factor
    noise = torch.randn(
        latent.shape, generator=torch.Generator().manual_seed(seed_of("audit", "noise of the base's features"))
    )
    kept = pipe.scheduler.alphas_cumprod[time]
    ids = pipe.tokenizer("", padding="max_length", max_length=77, return_tensors="pt").input_ids
    text = pipe.text_encoder(ids)[0]
    embedded = unet.time_embedding(unet.time_proj(torch.tensor([time])))
    hidden = unet.conv_in(kept.sqrt() * latent + (1 - kept).sqrt() * noise)
    for block in unet.down_blocks:
        with_text = {"encoder_hidden_states": text} if getattr(block, "has_cross_attention", False) else {}
        hidden, _ = block(hidden, embedded, **with_text)
    if unet.mid_block is not None:
        hidden = unet.mid_block(hidden, embedded, encoder_hidden_states=text)
    return hidden.mean((2, 3))[0].numpy()


def test_features_are_the_middle_blocks(generator: Path) -> None:
    check_by_hand(generator)


def check_by_hand(generator: Path) -> None:
    images = pictures(11, 0, SIDE)
    features = BaseFeatures(generator, CPU)(images)
    for row in (0, 10):
        np.testing.assert_allclose(features[row], by_hand(generator, images[row]), rtol=1e-3, atol=1e-4)
    assert np.abs(features[0] - features[10]).max() > 1e-3


def test_without_a_middle_block_they_are_those_of_the_block_before_it(generator: Path, tmp_path: Path) -> None:
    distilled = Path(shutil.copytree(generator, tmp_path / "generator"))
    rebuilt("unet", "UNet2DConditionModel", mid_block_type=None)(distilled)
    check_by_hand(distilled)
    assert BaseFeatures(distilled, CPU)(pictures(1, 0, SIDE)[:0]).shape == (0, 8)


def test_company_changes_no_features(generator: Path) -> None:
    images, space = pictures(11, 0, SIDE), BaseFeatures(generator, CPU)
    everything = space(images)
    assert np.array_equal(space(images[[10]]), everything[[10]])
    assert space(images[:0]).shape == (0, everything.shape[1])


def test_what_is_learned_beside_the_base_changes_nothing(generator: Path, tmp_path: Path) -> None:
    taught = tmp_path / "generator"
    shutil.copytree(generator, taught)
    adapter = {"unet.mid_block.attentions.0.proj_in.lora_A.weight": torch.ones(2, 8)}
    save_file(adapter, taught / "pytorch_lora_weights.safetensors")
    images = pictures(3, 0, SIDE)
    assert np.array_equal(BaseFeatures(taught, CPU)(images), BaseFeatures(generator, CPU)(images))
    weights = load_file(taught / "unet/diffusion_pytorch_model.safetensors")
    weights["conv_in.weight"] *= 2
    save_file(weights, taught / "unet/diffusion_pytorch_model.safetensors")
    assert not np.array_equal(BaseFeatures(taught, CPU)(images), BaseFeatures(generator, CPU)(images))


def test_there_is_no_space_without_a_generator(tmp_path: Path) -> None:
    (tmp_path / "trcgl.json").write_text('{"base": null}')
    with pytest.raises(InputError, match="no generator was trained"):
        BaseFeatures(tmp_path, CPU)
