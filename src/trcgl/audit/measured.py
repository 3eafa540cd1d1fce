"""What the audit knows of an image: a classifier's features, and a thumbnail to compare pixels with."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trcgl.artifacts.pixels import Pixels, prefetched, resized
from trcgl.classifier.network.model import Classifier

THUMBNAIL = 64
"""Side in pixels at which images are compared: fine enough for anatomy, and small enough to keep 160,000 in memory."""
BATCH = 64


@dataclass(frozen=True)
class Measured:
    """N images.

    Attributes:
        features: float32 [N, F], the mean of a classifier's last map over its places: what its head reads.
        thumbnails: uint8 [N, THUMBNAIL, THUMBNAIL].
    """

    features: np.ndarray
    thumbnails: np.ndarray

    def __len__(self) -> int:
        return len(self.features)


@torch.inference_mode()
def measure(classifier: Classifier, images: Pixels) -> Measured:
    """Look at every image once, so that hundreds of thousands on disk are read once and never held.

    Args:
        classifier: in evaluation mode, on any device; the judge or the independent detector.
        images: at the size it reads.
    """
    maps: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        maps.append(inputs[0].mean((2, 3)).cpu())

    def read(rows: np.ndarray) -> tuple[Tensor, np.ndarray]:
        pixels = images[rows]
        return torch.from_numpy(pixels).unsqueeze(1), resized(pixels, THUMBNAIL)

    thumbnails = [np.empty((0, THUMBNAIL, THUMBNAIL), np.uint8)]
    batches = [np.arange(start, min(start + BATCH, len(images))) for start in range(0, len(images), BATCH)]
    hook = classifier.head.register_forward_pre_hook(keep)
    try:
        for pixels, small in prefetched(batches, read):
            classifier(pixels.to(classifier.pixel_mean.device))
            thumbnails.append(small)
    finally:
        hook.remove()
    features = torch.cat(maps).numpy() if maps else np.empty((0, 0), np.float32)
    return Measured(features, np.concatenate(thumbnails))
