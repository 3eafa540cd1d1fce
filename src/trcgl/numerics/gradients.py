"""Clipping that also says how large the gradients were."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def clip_gradients(parameters: Iterable[nn.Parameter], clip_norm: float) -> Tensor:
    """Scale the gradients down to a total norm of `clip_norm`; 0 leaves them alone.

    Returns:
        Their total norm before, a scalar on their device: reading it makes the host wait.
    """
    # A list: an iterator that the optimiser has already consumed would clip nothing
    flat = [parameter for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in flat if parameter.grad is not None])
    if clip_norm > 0:
        torch.nn.utils.clip_grads_with_norm_(flat, clip_norm, norm)
    return norm
