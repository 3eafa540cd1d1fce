"""Gradient clipping that also returns the norm."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def clip_gradients(parameters: Iterable[nn.Parameter], clip_norm: float) -> Tensor:
    """Scale the gradients down to a total norm of `clip_norm`; 0 leaves them alone.

    Returns:
        Their total norm before clipping, a scalar on their device: reading it makes the host wait for the device.
    """
    # A list: a generator would be used up by the norm, and nothing would be clipped
    flat = [parameter for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in flat if parameter.grad is not None])
    if clip_norm > 0:
        torch.nn.utils.clip_grads_with_norm_(flat, clip_norm, norm)
    return norm
