"""What a linear classifier says about every place of a map."""

from torch import Tensor
from torch.nn import functional as F


def position_scores(weight: Tensor, maps: Tensor) -> Tensor:
    """Each class's weights applied at every position, without bias: [C, F], [B, F, h, w] -> [B, C, h, w]."""
    return F.conv2d(maps, weight[:, :, None, None])
