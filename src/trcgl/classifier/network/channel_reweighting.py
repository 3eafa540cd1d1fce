"""Channel reweighting: a squeeze-and-excitation gate on the channels of the map.

Squeeze-and-Excitation Networks, https://arxiv.org/abs/1709.01507; TRCGL-Net, https://arxiv.org/abs/2607.00975, adds
the gated map to its input instead of replacing it.
"""

from torch import Tensor, nn

from trcgl.classifier.network.strength import Strength


class Gate(nn.Module):
    """sigmoid(W2 relu(W1 mean(x))) in (0, 1) per image and channel, without biases.

    Args:
        features: channels F of the map.
        reduction: the hidden layer has F / reduction channels, at least one.
    """

    def __init__(self, features: int, reduction: int):
        super().__init__()
        hidden = max(1, features // reduction)
        # These equal the paper's 1x1 convolutions on a 1 x 1 map, without the overhead of convolutions. timm's SEModule
        # uses convolutions, multiplies by the gate itself (ours is centred), and differs in the last bits (2e-7)
        self.squeeze = nn.Linear(features, hidden, bias=False)
        self.excite = nn.Linear(hidden, features, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """[B, F, h, w] -> [B, F, 1, 1]."""
        gate = self.excite(self.squeeze(maps.mean((2, 3))).relu()).sigmoid()
        return gate[:, :, None, None]


class ChannelReweighting(nn.Module):
    """The reweighting of the TRCGL-Net paper: x' = x + strength * x * gate.

    Args:
        features, reduction: see Gate.
        strength: 0 leaves the map unchanged.
    """

    def __init__(self, features: int, reduction: int, strength: float):
        super().__init__()
        self.strength = strength
        self.gate = Gate(features, reduction)

    def forward(self, maps: Tensor) -> Tensor:
        """[B, F, h, w] -> [B, F, h, w]."""
        return maps + self.strength * maps * self.gate(maps)


class LearnedReweighting(nn.Module):
    """x' = x * (1 + strength * (2 gate - 1)), with a learned strength.

    The gate is centred. An untrained gate is near 1/2, so at the start x' is close to x. At strength 1 the gate can
    switch a channel off or double it. The paper's residual can only amplify channels, and mostly by a constant factor.

    Args:
        features, reduction: see Gate.
        strength: initial value; 0 leaves the map unchanged permanently.
    """

    def __init__(self, features: int, reduction: int, strength: float):
        super().__init__()
        self.strength = Strength(strength)
        self.gate = Gate(features, reduction)

    def forward(self, maps: Tensor) -> Tensor:
        """[B, F, h, w] -> [B, F, h, w]."""
        return maps * (1 + self.strength(2 * self.gate(maps) - 1))
