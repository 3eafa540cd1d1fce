"""The plain head: global average pooling and one linear layer; its class maps are class activation maps.

Learning Deep Features for Discriminative Localization, https://arxiv.org/abs/1512.04150, section 2.
"""

from torch import Tensor, nn

from trcgl.classifier.network.heads.base import Head, position_scores


class LinearHead(Head):
    """logits = W mean(x) + b.

    Args:
        features: channels F of the map.
        classes: C.
    """

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.classifier = nn.Linear(features, classes)

    @property
    def offset(self) -> Tensor:
        return self.classifier.bias

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """[B, F, h, w] -> logits [B, C], class maps [B, C, h, w] that sum to the logits minus the bias."""
        positions = maps.shape[2] * maps.shape[3]
        return self.classifier(maps.mean((2, 3))), position_scores(self.classifier.weight, maps) / positions
