"""What a linear classifier says about every place of a map."""

from torch import Tensor, nn
from torch.nn import functional as F


def position_scores(classifier: nn.Linear, maps: Tensor) -> Tensor:
    """Each class's weights applied at every position, without bias: [B, F, h, w] -> [B, C, h, w]."""
    return F.conv2d(maps, classifier.weight[:, :, None, None])
