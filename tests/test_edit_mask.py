"""Drawing into a real image: only where the prompt changes it, and there as the stock inpainting pipeline does."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_inpaint import StableDiffusionInpaintPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from tests.diffusion_cases import SAMPLING, load
from tests.tiny_base import shared_base
from trcgl.diffusion.generator.base import latent_size
from trcgl.diffusion.generator.prompts import text_embeddings
from trcgl.diffusion.generator.solver import use_solver
from trcgl.diffusion.sampling.edit_mask import NOISED, edit_mask
from trcgl.diffusion.sampling.sample import denoise, initial_noise

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def base() -> Any:
    pipeline = load(shared_base())
    use_solver(pipeline)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def embedded(base: Any, *texts: str) -> Tensor:
    return text_embeddings(base.tokenizer, base.text_encoder, texts)


def carriers_of(base: Any, count: int) -> Tensor:
    return torch.randn(count, *latent_size(base), generator=torch.Generator().manual_seed(7))


def test_what_is_masked_is_drawn_as_the_stock_inpainting_pipeline_does(base: Any) -> None:
    stock: Any = StableDiffusionInpaintPipeline(**base.components, requires_safety_checker=False)
    stock.set_progress_bar_config(disable=True)
    carriers, (height, width) = carriers_of(base, 2), latent_size(base)[1:]
    positive, negative = embedded(base, "azygos lobe", "pleural effusion"), embedded(base, "", "")
    mask = torch.zeros(2, 1, height, width)
    mask[0, :, : height // 2], mask[1, :, :, 1:3] = 1, 1
    factor = base.vae_scale_factor
    theirs = stock(
        image=carriers, mask_image=mask.repeat_interleave(factor, 2).repeat_interleave(factor, 3), strength=0.6,
        masked_image_latents=carriers, height=height * factor, width=width * factor,
        num_inference_steps=7, guidance_scale=3.0, output_type="np",
        prompt_embeds=positive, negative_prompt_embeds=negative,
        generator=[torch.Generator().manual_seed(seed) for seed in (3, 4)],
    ).images.mean(axis=3)  # fmt: skip
    params = replace(SAMPLING, steps=7, guidance_scale=3.0, strength=0.6)
    ours = denoise(base, positive, negative, initial_noise(base, [3, 4]), params, carriers, mask).numpy()
    assert np.ptp(theirs) > 0.1
    assert np.abs(ours - theirs).max() < 1e-4
    whole = denoise(base, positive, negative, initial_noise(base, [3, 4]), params, carriers).numpy()
    assert np.abs(ours - whole).max() > 1e-2


def test_a_prompt_that_changes_nothing_leaves_the_carrier(base: Any) -> None:
    carriers, same = carriers_of(base, 2), embedded(base, "no finding", "no finding")
    mask = edit_mask(base, carriers, same, same, 0.4)
    assert not mask.any()
    params = replace(SAMPLING, steps=5, guidance_scale=3.0, strength=0.8)
    drawn = denoise(base, same, same, initial_noise(base, [1, 2]), params, carriers, mask)
    with torch.no_grad():
        decoded = base.vae.decode(carriers / base.vae.config.scaling_factor).sample
    shown = (decoded.mean(dim=1) / 2 + 0.5).clamp(0, 1)
    # The mean of clamped channels is not the clamped mean of channels
    inside = ((decoded.abs() < 1).all(dim=1)) & (shown > 0)
    assert inside.any()
    assert (drawn - shown)[inside].abs().max() < 1e-5


class Answers(torch.nn.Module):
    """A U-Net that answers a prompt of all ones with a known picture more than it answers another."""

    dtype, device = torch.float32, torch.device("cpu")

    def __init__(self, more: Tensor):
        super().__init__()
        self.more, self.times = more, []

    def forward(self, seen: Tensor, time: Tensor, encoder_hidden_states: Tensor, return_dict: bool) -> tuple[Tensor]:
        self.times.append(int(time))
        return (seen.sin() + encoder_hidden_states.mean(dim=(1, 2)).view(-1, 1, 1, 1) * self.more,)


def test_the_mask_is_where_predictions_differ() -> None:
    """By plain counting: one place of four channels differs; blurred it is 3 x 3 wide, and widened 5 x 5."""
    more = torch.zeros(4, 16, 16)
    more[:, 6, 9] = torch.tensor([1.0, -1.0, 1.0, -1.0])
    unet = Answers(more)
    pipeline = SimpleNamespace(unet=unet, scheduler=DDIMScheduler())
    carriers = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    mask = edit_mask(pipeline, carriers, torch.ones(2, 3, 8), torch.zeros(2, 3, 8), 0.5)
    expected = torch.zeros(2, 1, 16, 16)
    expected[:, :, 4:9, 7:12] = 1
    assert torch.equal(mask, expected)
    assert unet.times == [round(share * 999) for share in NOISED]


def test_a_weaker_difference_counts_in_part_and_company_changes_no_mask() -> None:
    more = torch.zeros(1, 16, 16)
    more[:, 2:7, 2:7], more[:, 10:15, 10:15] = 1.0, 0.3
    pipeline = SimpleNamespace(unet=Answers(more), scheduler=DDIMScheduler())
    carriers = torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    asked, empty = torch.ones(3, 3, 8), torch.zeros(3, 3, 8)
    mask = edit_mask(pipeline, carriers, asked, empty, 0.4)
    assert mask[0, 0, 4, 4] == 1
    # Twice 0.3 / 0.4, less 1
    assert mask[0, 0, 12, 12].item() == pytest.approx(0.5, abs=0.05)
    assert mask[0, 0, 12, 3] == 0
    alone = edit_mask(pipeline, carriers[1:2], asked[:1], empty[:1], 0.4)
    assert torch.allclose(alone, mask[1:2])
