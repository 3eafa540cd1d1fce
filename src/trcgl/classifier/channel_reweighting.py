"""Channel reweighting: a squeeze-and-excitation gate added to the map as a residual.

Squeeze-and-Excitation Networks, https://arxiv.org/abs/1709.01507; TRCGL-Net, https://arxiv.org/abs/2607.00975, adds
the gated map to its input instead of replacing it.
"""

from torch import Tensor, nn


class ChannelReweighting(nn.Module):
    """x' = x + strength * x * gate, gate = sigmoid(W2 relu(W1 mean(x))) in (0, 1) per image and channel, no biases.

    Args:
        features: channels F of the map.
        reduction: the gate's hidden layer has F / reduction channels, at least one.
        strength: 0 leaves the map as it is.
    """

    def __init__(self, features: int, reduction: int, strength: float):
        super().__init__()
        hidden = max(1, features // reduction)
        self.strength = strength
        self.squeeze = nn.Conv2d(features, hidden, 1, bias=False)
        self.excite = nn.Conv2d(hidden, features, 1, bias=False)

    def gate(self, maps: Tensor) -> Tensor:
        """[B, F, h, w] -> [B, F, 1, 1] in (0, 1)."""
        pooled = maps.mean((2, 3), keepdim=True)
        return self.excite(self.squeeze(pooled).relu()).sigmoid()

    def forward(self, maps: Tensor) -> Tensor:
        """[B, F, h, w] -> [B, F, h, w]."""
        return maps + self.strength * maps * self.gate(maps)
