"""Where a prompt would change a real image: only there is it drawn anew (DiffEdit, Couairon et al., arXiv 2210.11427).

The rest of the image stays that of its carrier, with ribs and vessels as sharp as a real film has them.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trcgl.numerics.seeding import seed_of

NOISED = (0.45, 0.65)
"""Shares of the noise schedule at which both prompts are compared; the paper takes 0.5, ten times."""
QUIET, MOST = 0.05, 0.99
"""Quantiles of an image's differences that count as none and as the most: one place does not decide."""


@torch.no_grad()
def edit_mask(pipeline: Any, carriers: Tensor, positive: Tensor, negative: Tensor, threshold: float) -> Tensor:
    """How much of each place of the latents is drawn anew.

    Args:
        carriers: scaled latents of real images, [B, C, h, w].
        positive, negative: embeddings of what is asked for and of what is there, [B, tokens, width].
        threshold: share of an image's largest difference between the two predictions that counts as a difference.

    Returns:
        Float32 [B, 1, h, w] on the U-Net's device: 1 from `threshold` on, 0 below half of it, widened by a place.
    """
    scheduler, unet = pipeline.scheduler, pipeline.unet
    carriers, both = carriers.to(unet.device, torch.float32), torch.cat([negative, positive])
    count, *shape = carriers.shape
    difference = torch.zeros(count, 1, *shape[1:], device=unet.device)
    for number, share in enumerate(NOISED):
        # The same noise for all images: company changes no image's mask
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed_of("edit mask", number)))
        time = torch.tensor([round(share * (scheduler.config.num_train_timesteps - 1))], device=unet.device)
        kept = scheduler.alphas_cumprod.to(unet.device)[time].sqrt()
        noised = kept * carriers + (1 - kept**2).sqrt() * noise.to(carriers)
        seen = torch.cat([noised, noised]).to(unet.dtype)
        without, with_it = unet(seen, time, encoder_hidden_states=both, return_dict=False)[0].float().chunk(2)
        difference += (with_it - without).abs().mean(dim=1, keepdim=True)
    difference = F.avg_pool2d(F.pad(difference, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    places = difference.flatten(1)
    quiet, most = (places.quantile(share, dim=1).view(-1, 1, 1, 1) for share in (QUIET, MOST))
    relative = (difference - quiet) / (most - quiet).clamp(min=1e-12)
    return F.max_pool2d((2 * relative / threshold - 1).clamp(0, 1), 3, stride=1, padding=1)
